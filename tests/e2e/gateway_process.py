"""A forge-gateway of a test's own, and what its clients send and read."""

import http.client
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

GATEWAY = os.environ["FORGE_GATEWAY"]
QUESTION = {"model": "demo", "messages": [{"role": "user", "content": "Tell me a story about a fox."}],
            "temperature": 0, "max_tokens": 12}


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
    blocks = text.split("\n\n")
    if blocks[-2:] != ["data: [DONE]", ""]:
        raise AssertionError(f"no [DONE] at the end of {text[-200:]!r}")
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-2]]


def content(chunks):
    return "".join(c["delta"].get("content", "") for chunk in chunks for c in chunk["choices"])
