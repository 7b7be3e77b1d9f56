"""Ctrl-C while a model loads: the load stops for everybody, and every byte comes back."""

import json
import signal
import tempfile
import unittest
from pathlib import Path

from harness import Daemon
from sparse_model import write_sparse_model


class CancelLoadTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.models = tempfile.TemporaryDirectory(prefix="forge-models-")
        # 2.6 GB of weights: loading takes a second or so.
        write_sparse_model(Path(cls.models.name) / "large.gguf", n_layers=19)
        cls.daemon = Daemon(cls.models.name).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()
        cls.models.cleanup()

    def start_load(self):
        """A `forgectl load` that is reading weights."""
        client = self.daemon.start_ctl("load", "large", "-o", "json")
        for line in client.stdout:
            progress = json.loads(line).get("progress", {})
            if progress.get("phase") == "LOAD_PHASE_LOADING_WEIGHTS":
                return client
        self.fail(f"the load ended before it was seen: {client.stderr.read()}")

    def finish(self, client):
        with client.stdout, client.stderr:
            client.stdout.read()
            return client.wait(20), client.stderr.read()

    def check_nothing_is_left(self):
        memory = self.daemon.memory()
        self.assertEqual("0", memory["reservedBytes"])
        self.assertEqual("0", memory["allocatedBytes"])
        self.assertIsNone(self.daemon.resident("large"))

    def test_ctrl_c_cancels_the_load_and_exits_with_130(self):
        client = self.start_load()
        client.send_signal(signal.SIGINT)
        code, error = self.finish(client)
        self.assertEqual(130, code, error)
        self.check_nothing_is_left()

    def test_a_second_client_that_joined_the_load_is_told(self):
        first = self.start_load()
        second = self.start_load()
        first.send_signal(signal.SIGINT)
        self.assertEqual(130, self.finish(first)[0])
        code, error = self.finish(second)
        self.assertNotEqual(0, code)
        self.assertIn("cancel", error)
        self.check_nothing_is_left()

    def test_a_killed_client_does_not_stop_the_load(self):
        client = self.start_load()
        client.kill()
        self.finish(client)
        self.daemon.ctl_ok("load", "large")
        self.assertIsNotNone(self.daemon.resident("large"))
        self.daemon.ctl_ok("unload", "large")
        self.check_nothing_is_left()


if __name__ == "__main__":
    unittest.main()
