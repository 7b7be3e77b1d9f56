"""Starts the built programs and talks to them as a user does."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO_MODEL = REPOSITORY / "models" / "demo.gguf"
FORGED = os.environ["FORGED"]
FORGECTL = os.environ["FORGECTL"]
sys.path.insert(0, os.environ["FORGE_STUBS"])


def conformance_dir():
    """The reference data; skips the test where it is absent, and fails it under CI."""
    path = Path(os.environ.get("FORGE_CONFORMANCE_DIR") or os.environ["FORGE_CONFORMANCE_DEFAULT"])
    if not path.is_dir():
        if os.environ.get("CI"):
            raise AssertionError(f"no conformance data at {path}")
        raise unittest.SkipTest(f"no conformance data at {path}")
    return path


class Daemon:
    """A forged of its own on a private socket. Use as a context manager."""

    def __init__(self, *model_dirs, config=None, args=()):
        self.folder = tempfile.TemporaryDirectory(prefix="forge-e2e-")
        self.root = Path(self.folder.name)
        self.socket = self.root / "forge.sock"
        self.address = f"unix://{self.socket}"
        self.log_path = self.root / "forged.log"
        command = [FORGED, "--listen", self.address]
        for model_dir in model_dirs or [DEMO_MODEL.parent]:
            command += ["--model-dir", str(model_dir)]
        if config is not None:
            config_path = self.root / "config.yaml"
            config_path.write_text(config)
            command += ["--config", str(config_path)]
        self.command = command + list(args)
        self.process = None

    def launch(self):
        """Starts it without waiting until it serves."""
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(self.command, stderr=log, stdin=subprocess.DEVNULL)

    def __enter__(self):
        self.launch()
        deadline = time.monotonic() + 20
        while self.ctl("status").returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"forged did not start:\n{self.log()}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.folder.cleanup()

    def log(self):
        return self.log_path.read_text()

    def environment(self):
        return {**os.environ, "FORGE_ADDRESS": self.address}

    def ctl(self, *args, input=None, timeout=120):
        """Runs forgectl to its end; text in, text out."""
        stdin = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
        return subprocess.run([FORGECTL, *map(str, args)], capture_output=True, text=True,
                              env=self.environment(), timeout=timeout, **stdin)

    def ctl_ok(self, *args, **kwargs):
        result = self.ctl(*args, **kwargs)
        if result.returncode != 0:
            raise AssertionError(f"forgectl {' '.join(map(str, args))} gave {result.returncode}: "
                                 f"{result.stderr}\n{self.log()}")
        return result.stdout

    def ctl_json(self, *args, **kwargs):
        """The lines of `-o json`, parsed."""
        return [json.loads(line) for line in self.ctl_ok(*args, "-o", "json", **kwargs).splitlines()]

    def start_ctl(self, *args, stdout=subprocess.PIPE):
        return subprocess.Popen([FORGECTL, *map(str, args)], stdin=subprocess.DEVNULL, stdout=stdout,
                                stderr=subprocess.PIPE, text=True, env=self.environment())

    def memory(self):
        return self.ctl_json("memory")[0]["devices"][0]

    def resident(self, model):
        """The residency of a model as `forgectl ps` shows it, or None."""
        for entry in self.ctl_json("ps"):
            if entry["name"] == model:
                return entry["residency"]
        return None


def answer(events):
    """The text of a turn's events."""
    return "".join(e["token"]["text"] if "token" in e else e.get("finished", {}).get("text", "")
                   for e in events)


def wait_until(condition, seconds):
    """Polls until `condition()`; returns the seconds it took, or fails."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            raise AssertionError(f"did not happen within {seconds} s")
        time.sleep(0.001)
    return time.monotonic() - start


__all__ = ["Daemon", "DEMO_MODEL", "FORGECTL", "FORGED", "REPOSITORY", "answer", "conformance_dir",
           "signal", "wait_until"]
