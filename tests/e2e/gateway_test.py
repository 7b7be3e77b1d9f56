"""forge-gateway between HTTP clients and a real daemon."""

import base64
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from harness import Daemon, wait_until  # also puts the generated stubs on the path
from gateway_process import (GATEWAY, QUESTION, Gateway, content, events, recorded_requests,
                             write_thinking_caller)

import grpc
from forge.v1 import forge_pb2 as pb
from forge.v1 import forge_pb2_grpc

RECORDED = recorded_requests("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
LONG = {**QUESTION, "max_tokens": 1_000_000, "ignore_eos": True, "stream": True}


class GatewayTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Without guesses an answer takes as many steps as it has tokens.
        config = "speculative_tokens: 0\ndefaults:\n  max_sequences: 2\n"
        cls.daemon = cls.enterClassContext(Daemon(config=config))
        cls.daemon.ctl_ok("load", "demo")
        channel = grpc.insecure_channel(cls.daemon.address, options=[("grpc.default_authority", "localhost")])
        cls.stub = forge_pb2_grpc.ForgeServiceStub(cls.enterClassContext(channel))
        cls.gateway = cls.enterClassContext(Gateway(cls.daemon.address))

    def busy_slots(self):
        models = self.stub.ListModels(pb.ListModelsRequest(resident_only=True)).models
        return models[0].residency.busy_slot_count

    def step_count(self):
        return self.stub.GetServerInfo(pb.GetServerInfoRequest()).step_count

    # ---- What clients really send

    def test_answers_the_recorded_requests_of_clients(self):
        self.assertGreaterEqual(len(RECORDED), 7)
        for name, recorded in RECORDED.items():
            with self.subTest(name):
                status, headers, text = self.gateway.ask("POST", recorded["path"], recorded["body"],
                                                         recorded["headers"])
                if recorded.get("takes_tools"):  # the demo model's template does not
                    self.assertEqual((400, "chat_tools_unsupported"),
                                     (status, json.loads(text)["error"]["code"]))
                    continue
                self.assertEqual(200, status, text)
                if recorded["body"].get("stream"):
                    self.assertEqual("text/event-stream", headers["Content-Type"])
                    self.check_stream(events(text), recorded["body"])
                else:
                    self.check_whole(json.loads(text), recorded)

    def check_stream(self, chunks, body):
        with_usage = body.get("stream_options", {}).get("include_usage", False)
        if with_usage:
            self.assertEqual([], chunks[-1]["choices"])
            self.assertGreater(chunks[-1]["usage"]["completion_tokens"], 0)
            chunks = chunks[:-1]
        reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
        self.assertIn(reasons[-1], ("stop", "length"))
        self.assertEqual({None}, set(reasons[:-1]))
        self.assertEqual(1, len({chunk["id"] for chunk in chunks}))

    def check_whole(self, answer, recorded):
        self.assertGreater(answer["usage"]["prompt_tokens"], 0)
        self.assertEqual("demo", answer["model"])
        body = recorded["body"]
        if "response_format" in body:
            fox = json.loads(answer["choices"][0]["message"]["content"])
            self.assertEqual(["red", "age"], list(fox))
        if body.get("logprobs"):
            first = answer["choices"][0]["logprobs"]["content"][0]
            self.assertEqual(2, len(first["top_logprobs"]))
        if "input" in body:
            self.assertEqual([0, 1], [item["index"] for item in answer["data"]])

    # ---- Answers

    def test_a_stream_has_the_text_of_the_whole_answer(self):
        whole = self.gateway.chat()
        text = whole["choices"][0]["message"]["content"]
        self.assertTrue(text)
        self.assertEqual("length", whole["choices"][0]["finish_reason"])
        self.assertEqual(12, whole["usage"]["completion_tokens"])
        self.assertEqual(text, self.forgectl_answer())
        _, _, stream = self.gateway.ask("POST", "/v1/chat/completions",
                                        {**QUESTION, "stream": True, "stream_options": {"include_usage": True}})
        self.assertIn("\n\n: prompt: ", stream)  # a comment
        chunks = events(stream)
        self.assertEqual({"role": "assistant", "content": ""}, chunks[0]["choices"][0]["delta"])
        self.assertEqual(text, content(chunks))
        self.assertEqual(whole["usage"]["prompt_tokens"], chunks[-1]["usage"]["prompt_tokens"])
        _, _, plain = self.gateway.ask("POST", "/v1/chat/completions", {**QUESTION, "stream": True})
        self.assertNotIn("usage", plain)

    def test_a_stream_tells_that_its_model_is_loaded(self):
        self.daemon.ctl_ok("unload", "demo")
        status, _, stream = self.gateway.ask("POST", "/v1/chat/completions", {**QUESTION, "stream": True})
        self.assertEqual(200, status, stream)
        self.assertRegex(stream, r"\n\n: load: \d+ of \d+ bytes\n\n")
        self.assertLess(stream.index(": load: "), stream.index(": prompt: "))
        self.assertTrue(content(events(stream)))

    def test_a_stream_tells_that_its_turn_waits(self):
        running = [self.gateway.open_stream(LONG) for _ in range(2)]
        connection, waiting = self.gateway.open_stream(LONG)
        self.assertEqual(b"\n", waiting.readline())  # the chunk that names the role came before
        self.assertEqual(b": queue: 0 before this\n", waiting.readline())
        for stream in (connection, *(first for first, _ in running)):
            stream.close()
        wait_until(lambda: self.busy_slots() == 0, 5)

    def forgectl_answer(self):
        return self.daemon.ctl_ok("generate", "demo", "--temperature", 0, "--max-tokens", 12,
                                  QUESTION["messages"][0]["content"]).rstrip("\n")

    def test_the_same_seed_gives_the_same_answer_and_stops_are_held_to(self):
        first, second = (self.gateway.chat(temperature=1, seed=5)["choices"][0]["message"] for _ in range(2))
        self.assertEqual(first, second)
        stop = self.gateway.chat()["choices"][0]["message"]["content"].split()[3]
        choice = self.gateway.chat(stop=stop)["choices"][0]
        self.assertEqual("stop", choice["finish_reason"])
        self.assertNotIn(stop, choice["message"]["content"])

    def test_completes_a_text_or_tokens(self):
        body = {"model": "demo", "prompt": "Once upon a time", "temperature": 0, "max_tokens": 8, "logprobs": 2}
        status, answer = self.gateway.post("/v1/completions", body)
        self.assertEqual(200, status, answer)
        choice = answer["choices"][0]
        self.assertEqual(8, len(choice["logprobs"]["tokens"]))
        self.assertEqual(2, len(choice["logprobs"]["top_logprobs"][0]))
        ids = [int(i) for i in self.daemon.ctl_ok("tokenize", "demo", "--add-special", "--ids",
                                                  "Once upon a time").split(",")]
        status, same = self.gateway.post("/v1/completions", {**body, "prompt": ids})
        self.assertEqual((200, choice["text"]), (status, same["choices"][0]["text"]))

    def test_embeds_texts_as_numbers_or_bytes(self):
        body = {"model": "demo", "input": ["A fox.", "A robot."]}
        status, answer = self.gateway.post("/v1/embeddings", body)
        self.assertEqual(200, status, answer)
        numbers = answer["data"][1]["embedding"]
        self.assertAlmostEqual(1, sum(x * x for x in numbers), places=4)
        _, packed = self.gateway.post("/v1/embeddings", {**body, "encoding_format": "base64"})

        raw = base64.b64decode(packed["data"][1]["embedding"])
        self.assertEqual(numbers, list(struct.unpack(f"<{len(numbers)}f", raw)))
        self.assertGreater(answer["usage"]["total_tokens"], 0)

    def test_a_call_that_is_demanded_is_made_and_a_form_is_content(self):
        city = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}
        tools = [{"type": "function", "function": {"name": "weather", "parameters": city}},
                 {"type": "function", "function": {"name": "now"}}]
        one = {"type": "function", "function": {"name": "weather"}}
        with tempfile.TemporaryDirectory(prefix="forge-models-") as folder:
            write_thinking_caller(Path(folder) / "demo.gguf")
            with Daemon(folder) as daemon, Gateway(daemon.address) as gateway:
                for choice in ("required", one):
                    answer = gateway.chat(tools=tools, tool_choice=choice, max_tokens=200)["choices"][0]
                    self.assertEqual("tool_calls", answer["finish_reason"], answer)
                    self.check_call(answer["message"]["tool_calls"], ["weather"] if choice == one else ["weather", "now"])
                    _, _, stream = gateway.ask("POST", "/v1/chat/completions", {
                        **QUESTION, "tools": tools, "tool_choice": choice, "max_tokens": 200, "stream": True})
                    chunks = [chunk["choices"][0] for chunk in events(stream)]
                    self.check_call(chunks[-2]["delta"]["tool_calls"], ["weather", "now"])
                    self.assertEqual("tool_calls", chunks[-1]["finish_reason"])
                message = gateway.chat(max_tokens=200, response_format={
                    "type": "json_schema", "json_schema": {"schema": city}})["choices"][0]["message"]
                self.assertNotIn("reasoning_content", message)
                self.assertIn(json.loads(message["content"])["city"], ("Paris", "Rome"))
                self.assertIn("reasoning_content", gateway.chat()["choices"][0]["message"])
                tools[0]["function"]["parameters"] = {"not": {}}
                status, error = gateway.error("/v1/chat/completions", {**QUESTION, "tools": tools, "tool_choice": one})
                self.assertEqual((400, "schema_unsupported", "tools"), (status, error["code"], error["param"]))

    def check_call(self, calls, names):
        (call,) = calls
        self.assertIn(call["function"]["name"], names)
        arguments = json.loads(call["function"]["arguments"])
        if call["function"]["name"] == "weather":
            self.assertIn(arguments["city"], ("Paris", "Rome"))
        else:
            self.assertEqual({}, arguments)

    def test_vectors_of_a_model_that_is_not_resident_load_it(self):
        with Daemon() as daemon, Gateway(daemon.address) as gateway:
            status, answer = gateway.post("/v1/embeddings", {"model": "demo", "input": "A fox."})
            self.assertEqual(200, status, answer)
            self.assertIsNotNone(daemon.resident("demo"))

    def test_lists_models_and_tells_health(self):
        status, _, text = self.gateway.ask("GET", "/v1/models", headers={"Authorization": "Bearer x"})
        self.assertEqual(200, status)
        models = json.loads(text)["data"]
        self.assertIn("demo", [model["id"] for model in models])
        status, _, text = self.gateway.ask("GET", "/v1/models/demo")
        self.assertEqual((200, "model"), (status, json.loads(text)["object"]))
        self.assertEqual((200, '{"status":"ok"}'), self.gateway.ask("GET", "/health")[::2])

    def test_two_are_answered_at_the_same_time(self):
        first, first_answer = self.gateway.open_stream(LONG)
        second, second_answer = self.gateway.open_stream(LONG)
        self.assertEqual(2, self.busy_slots())
        for answer in (first_answer, second_answer, first_answer):
            self.assertTrue(answer.readline() + answer.readline())
        first.close()
        second.close()
        wait_until(lambda: self.busy_slots() == 0, 5)

    # ---- Refusals

    def test_an_unknown_model_is_404(self):
        for path, body in (("/v1/chat/completions", {**QUESTION, "model": "nothere"}),
                           ("/v1/chat/completions", {**QUESTION, "model": "nothere", "stream": True}),
                           ("/v1/completions", {"model": "nothere", "prompt": "x"})):
            with self.subTest(path):
                status, error = self.gateway.error(path, body)
                self.assertEqual((404, "model_not_found"), (status, error["code"]))
                self.assertIn("nothere", error["message"])
        self.assertEqual(404, self.gateway.ask("GET", "/v1/models/nothere")[0])
        self.assertEqual(404, self.gateway.ask("POST", "/v1/audio", {})[0])
        status, headers, _ = self.gateway.ask("HEAD", "/health")
        self.assertEqual((405, "GET"), (status, headers["Allow"]))

    def test_bad_requests_are_400_and_name_the_field(self):
        for fields, param in (({"n": 2}, "n"), ({"temperature": -1}, "temperature"), ({"messages": []}, "messages"),
                              ({"top_p": 0}, "top_p"), ({"tool_choice": "required"}, "tool_choice"),
                              ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {}}}}},
                               "response_format"),
                              ({"messages": [{"role": "user", "content": [
                                  {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]},
                               "messages[0].content[0].type")):
            with self.subTest(fields):
                status, error = self.gateway.error("/v1/chat/completions", {**QUESTION, **fields})
                self.assertEqual((400, param, "invalid_request_error"),
                                 (status, error["param"], error["type"]), error)
        status, error = self.gateway.error("/v1/chat/completions", "{nonsense")
        self.assertEqual((400, "invalid_json"), (status, error["code"]))

    def test_a_prompt_beyond_the_context_is_400(self):
        status, error = self.gateway.error("/v1/completions", {"model": "demo", "prompt": "word " * 20000})
        self.assertEqual((400, "context_length_exceeded"), (status, error["code"]))

    def test_bodies_that_are_too_large_are_413(self):
        large = json.dumps({**QUESTION, "user": "x" * (9 << 20)})
        status, error = self.gateway.error("/v1/chat/completions", large)
        self.assertEqual(413, status, error)

    def test_a_prompt_that_is_too_large_for_the_daemon_is_413(self):
        with Daemon(config="limits:\n  max_message: 64KiB\n") as daemon, Gateway(daemon.address) as gateway:
            status, error = gateway.error("/v1/completions", {"model": "demo", "prompt": "x" * (100 << 10)})
            self.assertEqual(413, status, error)
            self.assertIn("limits.max_message", error["message"])

    def test_web_pages_and_other_names_of_this_machine_are_refused(self):
        for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{self.gateway.port}"},
                        {"Origin": "https://evil.example"}, {"Origin": "null"},
                        {"Origin": f"http://localhost:{self.gateway.port}"}):
            with self.subTest(headers):
                for method, path in (("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("OPTIONS", "/v1/models")):
                    status, answer_headers, text = self.gateway.ask(method, path, QUESTION, headers)
                    self.assertEqual(403, status, text)
                    self.assertNotIn("Access-Control-Allow-Origin", answer_headers)
        self.assertEqual(200, self.gateway.ask("GET", "/v1/models", headers={"Host": "localhost"})[0])

    def test_an_origin_that_is_allowed_gets_what_a_browser_needs(self):
        origin = {"Origin": "http://localhost:3000"}
        with Gateway(self.daemon.address, "--allow-origin", "http://localhost:3000") as gateway:
            status, headers, _ = gateway.ask("OPTIONS", "/v1/chat/completions", headers={
                **origin, "Access-Control-Request-Headers": "authorization,x-stainless-lang"})
            self.assertEqual(204, status)
            self.assertEqual("authorization,x-stainless-lang", headers["Access-Control-Allow-Headers"])
            status, headers, _ = gateway.ask("POST", "/v1/chat/completions", QUESTION, origin)
            self.assertEqual((200, "http://localhost:3000"), (status, headers["Access-Control-Allow-Origin"]))
            self.assertEqual(403, gateway.ask("GET", "/v1/models", headers={"Origin": "http://localhost:3001"})[0])

    def test_keys_are_asked_for_where_there_is_a_file_of_them(self):
        with tempfile.NamedTemporaryFile("w", prefix="forge-keys-") as keys:
            keys.write("secret\n")
            keys.flush()
            os.chmod(keys.name, 0o600)
            with Gateway(self.daemon.address, "--api-key-file", keys.name) as gateway:
                for key, expected in (("secret", 200), ("other", 401)):
                    status, headers, _ = gateway.ask("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})
                    self.assertEqual(expected, status)
                self.assertEqual("Bearer", headers["WWW-Authenticate"])

    def test_a_page_that_is_allowed_may_read_that_it_has_no_key(self):
        origin = "http://localhost:3000"
        with tempfile.NamedTemporaryFile("w", prefix="forge-keys-") as keys:
            keys.write("secret\n")
            keys.flush()
            os.chmod(keys.name, 0o600)
            with Gateway(self.daemon.address, "--api-key-file", keys.name, "--allow-origin", origin) as gateway:
                status, headers, _ = gateway.ask("GET", "/v1/models", headers={"Origin": origin})
                self.assertEqual((401, origin), (status, headers["Access-Control-Allow-Origin"]))
                status, headers, _ = gateway.ask("GET", "/v1/models", headers={"Origin": "http://evil.example"})
                self.assertEqual(403, status)
                self.assertNotIn("Access-Control-Allow-Origin", headers)

    def test_a_full_queue_is_429_with_a_time_to_try_again(self):
        config = "defaults:\n  max_sequences: 1\nlimits:\n  max_queued_turns: 1\n"
        with Daemon(config=config) as daemon, Gateway(daemon.address) as gateway:
            daemon.ctl_ok("load", "demo")
            running, _ = gateway.open_stream(LONG)
            waiting = gateway.connect()
            waiting.request("POST", "/v1/chat/completions", json.dumps(LONG))
            wait_until(lambda: daemon.resident("demo")["queuedTurnCount"] == 1, 5)
            status, headers, text = gateway.ask("POST", "/v1/chat/completions", QUESTION)
            self.assertEqual((429, "queue_full"), (status, json.loads(text)["error"]["code"]))
            self.assertRegex(headers["Retry-After"], r"^\d+$")
            running.close()
            waiting.close()

    def test_a_model_that_does_not_fit_is_429(self):
        with Daemon(config="memory:\n  cap: 1MiB\n") as daemon, Gateway(daemon.address) as gateway:
            status, headers, text = gateway.ask("POST", "/v1/chat/completions", QUESTION)
            self.assertEqual((429, "gpu_budget_exceeded"), (status, json.loads(text)["error"]["code"]))
            self.assertIn("Retry-After", headers)

    def test_no_daemon_is_503_until_there_is_one(self):
        with Daemon() as daemon, Gateway(daemon.address) as gateway:
            self.assertEqual(200, gateway.ask("GET", "/health")[0])
            daemon.process.terminate()
            daemon.process.wait(20)
            for method, path, body in (("GET", "/health", None), ("GET", "/v1/models", None),
                                       ("POST", "/v1/chat/completions", QUESTION)):
                status, headers, text = gateway.ask(method, path, body)
                self.assertEqual((503, "daemon_unavailable"), (status, json.loads(text)["error"]["code"]))
                self.assertIn("Retry-After", headers)
            with open(daemon.log_path, "a") as log:
                daemon.process = subprocess.Popen(daemon.command, stderr=log)
            wait_until(lambda: gateway.ask("GET", "/health")[0] == 200, 30)
            self.assertEqual(200, gateway.ask("POST", "/v1/chat/completions", QUESTION)[0])

    def test_an_answer_that_breaks_off_says_so_in_the_stream(self):
        with Daemon() as daemon, Gateway(daemon.address) as gateway:
            daemon.ctl_ok("load", "demo")
            connection, answer = gateway.open_stream(LONG)
            daemon.ctl_ok("unload", "demo")
            last = json.loads(answer.read().decode().strip().split("\n\n")[-1].removeprefix("data: "))
            self.assertEqual(("service_unavailable_error", "model_not_loaded"),
                             (last["error"]["type"], last["error"]["code"]))
            connection.close()

    # ---- Clients that leave, or are slow

    def test_a_client_that_leaves_ends_its_answer(self):
        for body in (LONG, {**LONG, "stream": False}):
            with self.subTest(stream=body["stream"]):
                before = self.step_count()
                connection = self.gateway.connect()
                connection.request("POST", "/v1/chat/completions", json.dumps(body))
                wait_until(lambda: self.busy_slots() == 1, 5)
                connection.close()
                wait_until(lambda: self.busy_slots() == 0, 5)
                self.assertLess(self.step_count() - before, 700)  # of the 1000 to the context's end

    def test_connections_that_send_nothing_or_slowly_hold_up_nobody(self):
        slow = [socket.create_connection(("127.0.0.1", self.gateway.port)) for _ in range(20)]
        try:
            for i, connection in enumerate(slow):
                connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"[:i * 3])
            begin = time.monotonic()
            self.gateway.chat()
            self.assertLess(time.monotonic() - begin, 5)
        finally:
            for connection in slow:
                connection.close()

    def test_many_clients_that_come_and_go_leave_nothing_behind(self):
        def run():
            for i in range(10):
                connection, answer = self.gateway.open_stream(LONG)
                if i % 2:
                    answer.readline()
                connection.close()

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: self.busy_slots() == 0, 5)
        descriptors = Path(f"/proc/{self.gateway.process.pid}/fd")
        tasks = Path(f"/proc/{self.gateway.process.pid}/task")
        self.gateway.chat()
        wait_until(lambda: len(list(descriptors.iterdir())) < 40 and len(list(tasks.iterdir())) < 40, 10)

    # ---- The program

    def test_ends_within_a_moment_also_while_it_answers(self):
        for stop in (signal.SIGTERM, signal.SIGINT):
            with Gateway(self.daemon.address) as gateway:
                connection, answer = gateway.open_stream(LONG)
                begin = time.monotonic()
                gateway.process.send_signal(stop)
                rest = answer.read()
                self.assertEqual(0, gateway.process.wait(10))
                self.assertLess(time.monotonic() - begin, 2)
                self.assertIn(b'"error"', rest[-400:])
                connection.close()
        wait_until(lambda: self.busy_slots() == 0, 5)

    def test_says_why_it_cannot_start(self):
        taken = str(self.gateway.port)
        for args, code, word in ((("--listen", f"127.0.0.1:{taken}"), 1, "another program has the port"),
                                 (("--listen", "0.0.0.0:0"), 2, "not on loopback"),
                                 (("--listen", "8080"), 2, "has no port"),
                                 (("--allow-origin", "*"), 2, "every web page"),
                                 (("--api-key-file", "/nowhere"), 2, "/nowhere"),
                                 (("--forge", "http://x"), 2, "--forge"),
                                 (("extra",), 2, "extra")):
            with self.subTest(args):
                run = subprocess.run([GATEWAY, *args], capture_output=True, text=True, timeout=20)
                self.assertEqual(code, run.returncode, run.stderr)
                self.assertIn(word, run.stderr)
                self.assertEqual(1, run.stderr.count("\n"))


if __name__ == "__main__":
    unittest.main()
