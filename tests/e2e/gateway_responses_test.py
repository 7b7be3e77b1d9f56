"""OpenAI's Responses API at forge-gateway, with a real daemon."""

import json
import tempfile
import unittest
from pathlib import Path

from harness import Daemon
from gateway_process import Gateway, named_events, recorded_requests, write_thinking_caller

QUESTION = {"model": "demo", "input": "Tell me a story about a fox.", "temperature": 0, "max_output_tokens": 12}
CITY = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}
TOOLS = [{"type": "function", "name": "weather", "parameters": CITY},
         {"type": "namespace", "name": "mcp__clock__", "tools": [{"type": "function", "name": "now"}]}]


def assemble(events):
    """The response that a stream tells; checks the events' numbers, and their items against the last event."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    texts, arguments, items, item_id = {}, {}, [], None
    for event in events[2:-1]:
        kind = event["type"].removeprefix("response.")
        if kind == "in_progress":  # more of the prompt was computed
            assert not items and item_id is None, event
        elif kind == "output_item.added":
            assert event["output_index"] == len(items), event
            item_id = event["item"]["id"]
        elif kind in ("output_text.delta", "reasoning_text.delta"):
            assert event["item_id"] == item_id, event
            texts[item_id] = texts.get(item_id, "") + event["delta"]
        elif kind in ("output_text.done", "reasoning_text.done"):
            assert event["text"] == texts[item_id], event
        elif kind == "function_call_arguments.delta":
            arguments[item_id] = arguments.get(item_id, "") + event["delta"]
        elif kind == "function_call_arguments.done":
            assert event["arguments"] == arguments[item_id], event
        elif kind == "output_item.done":
            assert event["item"]["id"] == item_id, event
            items.append(event["item"])
        else:
            assert kind in ("content_part.added", "content_part.done"), event
    response = events[-1]["response"]
    assert response["output"] == items, response
    assert events[-1]["type"] == "response." + response["status"], events[-1]
    return response


def text_of(response):
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


class GatewayResponsesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # A template that takes tools and begins with a thought.
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="forge-models-"))
        write_thinking_caller(Path(folder) / "demo.gguf")
        cls.caller_daemon = cls.enterClassContext(Daemon(folder))
        cls.caller = cls.enterClassContext(Gateway(cls.caller_daemon.address))
        cls.daemon = cls.enterClassContext(Daemon())
        cls.gateway = cls.enterClassContext(Gateway(cls.daemon.address))

    def whole(self, gateway, **fields):
        status, answer = gateway.post("/v1/responses", {**QUESTION, **fields})
        self.assertEqual(200, status, answer)
        return answer

    def streamed(self, gateway, **fields):
        status, headers, text = gateway.ask("POST", "/v1/responses", {**QUESTION, **fields, "stream": True})
        self.assertEqual((200, "text/event-stream"), (status, headers["Content-Type"]), text)
        return assemble(named_events(text))

    def test_answers_the_recorded_requests_of_clients(self):
        recorded = recorded_requests("/v1/responses")
        self.assertGreaterEqual(len(recorded), 2)
        for name, request in recorded.items():
            with self.subTest(name):
                status, _, text = self.caller.ask("POST", request["path"], request["body"], request["headers"])
                self.assertEqual(200, status, text)
                response = assemble(named_events(text)) if request["body"].get("stream") else json.loads(text)
                self.assertTrue(response["output"])
                self.assertGreater(response["usage"]["total_tokens"], 0)

    def test_a_stream_has_the_items_of_the_whole_answer(self):
        for gateway in (self.gateway, self.caller):
            whole, streamed = self.whole(gateway), self.streamed(gateway)
            self.assertEqual("incomplete", whole["status"])
            self.assertEqual({"reason": "max_output_tokens"}, whole["incomplete_details"])
            self.assertEqual(12, whole["usage"]["output_tokens"])
            for response in (whole, streamed):
                for item in response["output"]:
                    item.pop("id")
            for name in ("output", "status", "incomplete_details", "model", "tools", "store"):
                self.assertEqual(whole[name], streamed[name])

    def test_thoughts_are_items_and_come_back_as_they_were_kept(self):
        answer = self.whole(self.caller, include=["reasoning.encrypted_content"])
        thought = answer["output"][0]
        self.assertEqual("reasoning", thought["type"])
        kept = {name: thought[name] for name in ("type", "summary", "encrypted_content")}
        question = {"role": "user", "content": QUESTION["input"]}
        self.whole(self.caller, input=[question, kept, {"role": "user", "content": "Go on."}])

    def test_a_call_that_is_demanded_is_made(self):
        for choice in ("required", {"type": "function", "name": "weather"},
                       {"type": "function", "name": "now", "namespace": "mcp__clock__"}):
            fields = {"tools": TOOLS, "tool_choice": choice, "max_output_tokens": 200}
            for answer in (self.whole(self.caller, **fields), self.streamed(self.caller, **fields)):
                self.assertEqual("completed", answer["status"], answer)
                (call,) = answer["output"]
                self.assertEqual("function_call", call["type"])
                self.assertIn((call["name"], call.get("namespace")), (("weather", None), ("now", "mcp__clock__")))
                if call["name"] == "weather":
                    self.assertIn(json.loads(call["arguments"])["city"], ("Paris", "Rome"))

    def test_a_form_is_the_text(self):
        form = {"format": {"type": "json_schema", "name": "city", "schema": CITY}}
        answer = self.whole(self.caller, text=form, max_output_tokens=200)
        self.assertIn(json.loads(text_of(answer))["city"], ("Paris", "Rome"))

    def test_bad_requests_name_the_field(self):
        for fields, status, param in (({"model": "nothere"}, 404, "model"), ({"previous_response_id": "resp_1"}, 400, "previous_response_id"),
                                      ({"input": []}, 400, "input"), ({"temperature": -1}, 400, "temperature"),
                                      ({"text": {"format": {"type": "json_schema", "schema": {"not": {}}}}}, 400, "text.format")):
            for stream in (False, True):
                with self.subTest(fields, stream=stream):
                    answer = self.gateway.error("/v1/responses", {**QUESTION, **fields, "stream": stream})
                    self.assertEqual((status, param), (answer[0], answer[1]["param"]), answer)

    def test_an_answer_that_breaks_off_says_so_in_the_stream(self):
        with Daemon() as daemon, Gateway(daemon.address) as gateway:
            daemon.ctl_ok("load", "demo")
            details = daemon.ctl_json("show", "demo")[0]["details"]
            no_end = {str(token["id"]): -1000 for token in details["specialTokens"]}
            body = {**QUESTION, "max_output_tokens": 1_000_000, "logit_bias": no_end, "stream": True}
            connection, answer = gateway.open_stream(body, "/v1/responses")
            daemon.ctl_ok("unload", "demo")
            last = named_events("event: response.created\n" + answer.read().decode())[-1]
            self.assertEqual(("response.failed", "model_not_loaded"), (last["type"], last["response"]["error"]["code"]))
            connection.close()


if __name__ == "__main__":
    unittest.main()
