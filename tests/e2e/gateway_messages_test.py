"""Anthropic's Messages API at forge-gateway, with a real daemon."""

import json
import os
import tempfile
import unittest
from pathlib import Path

from harness import Daemon
from gateway_process import Gateway, named_events, recorded_requests, write_thinking_caller

QUESTION = {"model": "demo", "messages": [{"role": "user", "content": "Tell me a story about a fox."}],
            "temperature": 0, "max_tokens": 12}
CITY = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}
TOOLS = [{"name": "weather", "description": "Tells it.", "input_schema": CITY}, {"name": "now", "input_schema": {"type": "object"}}]


def assemble(events):
    """The message that a stream tells, as a client puts it together; checks the order of events."""
    message = dict(events[0]["message"])
    assert events[0]["type"] == "message_start" and message["content"] == [], events[0]
    is_open = False
    for event in events[1:]:
        kind = event["type"]
        if kind == "content_block_start":
            assert not is_open and event["index"] == len(message["content"]), event
            message["content"].append(dict(event["content_block"]))
            is_open = True
            arguments = ""
        elif kind == "content_block_delta":
            assert is_open and event["index"] == len(message["content"]) - 1, event
            block, delta = message["content"][-1], event["delta"]
            if delta["type"] == "input_json_delta":
                arguments += delta["partial_json"]
            else:
                name = delta["type"].removesuffix("_delta")
                block[name] += delta[name]
        elif kind == "content_block_stop":
            assert is_open and event["index"] == len(message["content"]) - 1, event
            is_open = False
            if message["content"][-1]["type"] == "tool_use":
                message["content"][-1]["input"] = json.loads(arguments)
        elif kind == "message_delta":
            message.update(event["delta"], usage=event["usage"])
        else:
            assert kind in ("ping", "message_stop"), event
    assert events[-1]["type"] == "message_stop" and not is_open, events[-1]
    return message


def text_of(message):
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")


class GatewayMessagesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.enterClassContext(Daemon())
        cls.daemon.ctl_ok("load", "demo")
        cls.gateway = cls.enterClassContext(Gateway(cls.daemon.address))
        # The same model with a template that takes tools and begins with a thought.
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="forge-models-"))
        write_thinking_caller(Path(folder) / "demo.gguf")
        cls.caller_daemon = cls.enterClassContext(Daemon(folder))
        cls.caller_daemon.ctl_ok("load", "demo")
        cls.caller = cls.enterClassContext(Gateway(cls.caller_daemon.address))

    def whole(self, gateway, **fields):
        status, answer = gateway.post("/v1/messages", {**QUESTION, **fields})
        self.assertEqual(200, status, answer)
        return answer

    def no_end(self, daemon):
        """A bias against the tokens that end an answer."""
        details = daemon.ctl_json("show", "demo")[0]["details"]
        return {str(token["id"]): -1000 for token in details["specialTokens"]}

    def streamed(self, gateway, **fields):
        status, headers, text = gateway.ask("POST", "/v1/messages", {**QUESTION, **fields, "stream": True})
        self.assertEqual((200, "text/event-stream"), (status, headers["Content-Type"]), text)
        return assemble(named_events(text))

    # ---- Answers

    def test_answers_the_recorded_requests_of_clients(self):
        recorded = recorded_requests("/v1/messages", "/v1/messages/count_tokens")
        self.assertGreaterEqual(len(recorded), 4)
        for name, request in recorded.items():
            with self.subTest(name):
                status, _, text = self.caller.ask("POST", request["path"], request["body"], request["headers"])
                self.assertEqual(200, status, text)
                if "count_tokens" in request["path"]:
                    self.assertGreater(json.loads(text)["input_tokens"], 0)
                    continue
                message = assemble(named_events(text)) if request["body"].get("stream") else json.loads(text)
                self.assertTrue(message["content"])
                if "output_config" in request["body"] and message["stop_reason"] == "end_turn" and "title" in name:
                    self.assertEqual(["title"], list(json.loads(text_of(message))))

    def test_a_stream_has_the_message_of_the_whole_answer(self):
        for gateway in (self.gateway, self.caller):
            whole, streamed = self.whole(gateway), self.streamed(gateway)
            self.assertTrue(whole["content"])
            self.assertEqual(("message", "assistant", "demo"), tuple(whole[name] for name in ("type", "role", "model")))
            self.assertEqual("max_tokens", whole["stop_reason"])
            self.assertEqual(12, whole["usage"]["output_tokens"])
            for name in ("content", "stop_reason", "stop_sequence", "model"):
                self.assertEqual(whole[name], streamed[name])

    def test_a_stream_tells_at_its_beginning_how_long_the_prompt_is(self):
        message = {"role": "user", "content": "Another story, about a robot and a lighthouse."}
        _, _, text = self.gateway.ask("POST", "/v1/messages", {**QUESTION, "messages": [message], "stream": True})
        told = named_events(text)
        end = told[-2]["usage"]
        self.assertEqual(end["input_tokens"] + end["cache_read_input_tokens"],
                         told[0]["message"]["usage"]["input_tokens"])

    def test_the_prompt_of_the_answer_before_is_read_from_the_cache(self):
        system = "Tell of the forest, of its trees and of all who live in it. " * 5
        first = self.whole(self.gateway, system=system)
        messages = QUESTION["messages"] + [{"role": "assistant", "content": first["content"]},
                                           {"role": "user", "content": "Go on."}]
        usage = self.whole(self.gateway, system=system, messages=messages)["usage"]
        self.assertGreater(usage["cache_read_input_tokens"], usage["input_tokens"])

    def test_says_which_sequence_stopped_it(self):
        word = text_of(self.whole(self.gateway)).split()[3]
        for answer in (self.whole(self.gateway, stop_sequences=["nowhere", word]),
                       self.streamed(self.gateway, stop_sequences=["nowhere", word])):
            self.assertEqual(("stop_sequence", word), (answer["stop_reason"], answer["stop_sequence"]))
            self.assertNotIn(word, text_of(answer))

    def test_says_that_the_context_is_full(self):
        answer = self.whole(self.gateway, max_tokens=1_000_000, logit_bias=self.no_end(self.daemon))
        self.assertEqual("model_context_window_exceeded", answer["stop_reason"])

    def test_thoughts_are_blocks_unless_they_are_omitted(self):
        self.assertEqual("thinking", self.whole(self.caller)["content"][0]["type"])
        thinking = {"type": "adaptive", "display": "omitted"}
        for answer in (self.whole(self.caller, thinking=thinking), self.streamed(self.caller, thinking=thinking)):
            self.assertNotIn("thinking", [block["type"] for block in answer["content"]])

    def test_a_call_that_is_demanded_is_made(self):
        for choice, names in (({"type": "any"}, ["weather", "now"]), ({"type": "tool", "name": "weather"}, ["weather"])):
            fields = {"tools": TOOLS, "tool_choice": choice, "max_tokens": 200}
            for answer in (self.whole(self.caller, **fields), self.streamed(self.caller, **fields)):
                self.assertEqual("tool_use", answer["stop_reason"], answer)
                (call,) = answer["content"]
                self.assertIn(call["name"], names)
                if call["name"] == "weather":
                    self.assertIn(call["input"]["city"], ("Paris", "Rome"))

    def test_a_form_is_the_text(self):
        config = {"format": {"type": "json_schema", "schema": CITY}}
        answer = self.whole(self.caller, output_config=config, max_tokens=200)
        self.assertIn(json.loads(text_of(answer))["city"], ("Paris", "Rome"))

    def test_counts_the_tokens_that_the_prompt_has(self):
        usage = self.whole(self.caller, tools=TOOLS, system="Be brief.")["usage"]
        counted = {name: value for name, value in QUESTION.items() if name != "max_tokens"}
        status, answer = self.caller.post("/v1/messages/count_tokens",
                                          {**counted, "tools": TOOLS, "system": "Be brief."})
        self.assertEqual((200, {"input_tokens": usage["input_tokens"] + usage["cache_read_input_tokens"]}),
                         (status, answer))

    # ---- Refusals

    def refusal(self, gateway, body, path="/v1/messages", method="POST", headers=None):
        """Status, type and message of an error, whose shape is Anthropic's."""
        status, _, text = gateway.ask(method, path, body, headers)
        answer = json.loads(text)
        self.assertEqual("error", answer["type"], text)
        self.assertEqual(["type", "message"], list(answer["error"]))
        return status, answer["error"]["type"], answer["error"]["message"]

    def test_errors_have_anthropics_shape(self):
        image = [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}}]}]
        long = [{"role": "user", "content": "word " * 20000}]
        for fields, status, kind, word in (
                ({"model": "nothere"}, 404, "not_found_error", "nothere"),
                ({"max_tokens": None}, 400, "invalid_request_error", "max_tokens is missing"),
                ({"temperature": -1}, 400, "invalid_request_error", "temperature"),
                ({"tools": TOOLS}, 400, "invalid_request_error", "tools"),
                ({"messages": image}, 400, "invalid_request_error", "messages[0].content[0].type is 'image'"),
                ({"messages": long}, 400, "invalid_request_error", "prompt is too long: "),
                ({"metadata": {"user_id": "x" * (9 << 20)}}, 413, "request_too_large", "8388608")):
            for stream in (False, True):
                with self.subTest(kind=kind, word=word, stream=stream):
                    error = self.refusal(self.gateway, {**QUESTION, **fields, "stream": stream})
                    self.assertEqual((status, kind), error[:2])
                    self.assertIn(word, error[2])
        self.assertEqual((400, "invalid_request_error"), self.refusal(self.gateway, "{nonsense")[:2])
        self.assertEqual((405, "invalid_request_error"), self.refusal(self.gateway, None, method="GET")[:2])
        self.assertEqual((404, "not_found_error"), self.refusal(self.gateway, {}, path="/v1/messages/batches")[:2])
        self.assertEqual((403, "permission_error"),
                         self.refusal(self.gateway, QUESTION, headers={"Origin": "https://evil.example"})[:2])

    def test_takes_a_key_in_either_header(self):
        with tempfile.NamedTemporaryFile("w", prefix="forge-keys-") as keys:
            keys.write("secret\n")
            keys.flush()
            os.chmod(keys.name, 0o600)
            with Gateway(self.daemon.address, "--api-key-file", keys.name) as gateway:
                for headers in ({"x-api-key": "secret"}, {"Authorization": "Bearer secret"}):
                    self.assertEqual(200, gateway.ask("POST", "/v1/messages", QUESTION, headers)[0])
                for headers in ({"x-api-key": "other"}, {}):
                    self.assertEqual((401, "authentication_error"),
                                     self.refusal(gateway, QUESTION, headers=headers)[:2])

    def test_a_message_loads_the_model_and_counting_does_not(self):
        with Daemon() as daemon, Gateway(daemon.address) as gateway:
            self.assertEqual((503, "overloaded_error"),
                             self.refusal(gateway, QUESTION, path="/v1/messages/count_tokens")[:2])
            self.whole(gateway)
            self.assertEqual(200, gateway.ask("POST", "/v1/messages/count_tokens", QUESTION)[0])

    def test_an_answer_that_breaks_off_says_so_in_the_stream(self):
        with Daemon() as daemon, Gateway(daemon.address) as gateway:
            daemon.ctl_ok("load", "demo")
            body = {**QUESTION, "max_tokens": 1_000_000, "logit_bias": self.no_end(daemon), "stream": True}
            connection, answer = gateway.open_stream(body, "/v1/messages")
            daemon.ctl_ok("unload", "demo")
            last = named_events("event: message_start\n" + answer.read().decode())[-1]
            self.assertEqual(("error", "overloaded_error"), (last["type"], last["error"]["type"]))
            connection.close()


if __name__ == "__main__":
    unittest.main()
