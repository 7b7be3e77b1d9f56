"""A forge-gateway of a test's own, and what its clients send and read."""

import http.client
import json
import os
import re
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from harness import DEMO_MODEL, REPOSITORY

GATEWAY = os.environ["FORGE_GATEWAY"]
QUESTION = {"model": "demo", "messages": [{"role": "user", "content": "Tell me a story about a fox."}],
            "temperature": 0, "max_tokens": 12}


def recorded_requests(*paths):
    """What clients really send to these paths, by the names of their files in tests/gateway/requests."""
    files = sorted((REPOSITORY / "tests/gateway/requests").glob("*.json"))
    requests = {file.name: json.loads(file.read_text()) for file in files}
    return {name: request for name, request in requests.items() if request["path"].split("?")[0] in paths}


def write_thinking_caller(path):
    """The demo model with a template that takes tools and begins each answer with a thought."""
    template = (b"{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}{{'<|im_start|>' + m.role + '\\n' + "
                b"m.content + '<|im_end|>\\n'}}{% endfor %}{{ '<|im_start|>assistant\\n<think>' }}")
    data = DEMO_MODEL.read_bytes()
    key = b"tokenizer.chat_template"
    begin = data.index(key) + len(key) + 12  # behind the value's type and length
    (length,) = struct.unpack("<Q", data[begin - 8:begin])
    path.write_bytes(data[:begin] + template.ljust(length) + data[begin + length:])


class Gateway:
    """A forge-gateway of its own on a free port. Use as a context manager."""

    def __init__(self, address, *args):
        self.command = [GATEWAY, "--listen", "127.0.0.1:0", "--forge", address, *args]

    def __enter__(self):
        self.log = tempfile.NamedTemporaryFile(prefix="forge-gateway-")
        self.process = subprocess.Popen(self.command, stderr=self.log)
        deadline = time.monotonic() + 20
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/v1 .*\n", self.said())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"forge-gateway did not start: {self.said()}")
            time.sleep(0.02)
        self.port = int(found.group(1))
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(20)
        if code != 0 or self.said().count("\n") != 1:  # a sanitizer's report, for one
            raise AssertionError(f"forge-gateway ended with {code}: {self.said()}")
        self.log.close()

    def said(self):
        return Path(self.log.name).read_text()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method, path, body=None, headers=None):
        """Status, headers and text of an answer."""
        connection = self.connect()
        try:
            data = json.dumps(body) if isinstance(body, dict) else body
            connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def post(self, path, body, headers=None):
        status, _, text = self.ask("POST", path, body, headers)
        return status, json.loads(text)

    def chat(self, **fields):
        status, answer = self.post("/v1/chat/completions", {**QUESTION, **fields})
        if status != 200:
            raise AssertionError(f"{status}: {answer}")
        return answer

    def error(self, path, body):
        status, answer = self.post(path, body)
        return status, answer["error"]

    def open_stream(self, body, path="/v1/chat/completions"):
        """A connection on which an answer has begun."""
        connection = self.connect()
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise AssertionError(answer.read())
        answer.readline()
        return connection, answer


def events(text):
    """The data of server-sent events, parsed; the last must be [DONE]."""
    blocks = [block for block in text.split("\n\n") if not block.startswith(":")]  # comments
    if blocks[-2:] != ["data: [DONE]", ""]:
        raise AssertionError(f"no [DONE] at the end of {text[-200:]!r}")
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-2]]


def named_events(text):
    """The data of server-sent events that are named by their types, parsed."""
    parsed = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        if block.startswith(":"):  # a comment
            continue
        name, data = block.split("\n")
        parsed.append(json.loads(data.removeprefix("data: ")))
        if name != "event: " + parsed[-1]["type"]:
            raise AssertionError(f"{name} names another type than {data}")
    return parsed


def content(chunks):
    return "".join(c["delta"].get("content", "") for chunk in chunks for c in chunk["choices"])
