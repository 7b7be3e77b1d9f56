"""What a person at a terminal sees, and a pipe does not."""

import json
import os
import pty
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import FORGECTL, Daemon


class TerminalTest(unittest.TestCase):
    def run_on_terminal(self, daemon, *args):
        """Runs forgectl with a terminal as standard error; returns what was drawn there."""
        try:
            leader, follower = pty.openpty()
        except OSError as error:  # a chroot without /dev/pts
            raise unittest.SkipTest(f"no terminal can be opened here: {error}")
        client = subprocess.Popen([FORGECTL, *args], stdin=subprocess.DEVNULL, stderr=follower,
                                  stdout=subprocess.DEVNULL, env=daemon.environment())
        os.close(follower)
        drawn = b""
        try:
            while chunk := os.read(leader, 4096):
                drawn += chunk
        except OSError:  # the other side closed the terminal
            pass
        os.close(leader)
        self.assertEqual(0, client.wait(20))
        return drawn.decode()

    def test_a_load_draws_a_bar_and_removes_it(self):
        with Daemon() as daemon:
            drawn = self.run_on_terminal(daemon, "load", "demo")
            self.assertRegex(drawn, r"loading \[[#-]{30}\] +\d+%")
            self.assertTrue(drawn.endswith("\r\x1b[K"), drawn)

    def test_a_second_load_says_that_nothing_was_loaded_and_how_the_model_is_kept(self):
        with Daemon() as daemon:
            self.assertIn("loaded demo on cpu", daemon.ctl_ok("load", "demo", "--keep-alive", "1h"))
            again = daemon.ctl_ok("load", "demo", "--priority", 3)
            self.assertIn("demo is resident already on cpu", again)
            self.assertIn("priority 3 now, and stays: in ", again)
            self.assertRegex(daemon.ctl_ok("ps"), r"demo .* 3 +in (1h|59m \d+s)\n")
            self.assertIn("stays: pinned", daemon.ctl_ok("load", "demo", "--pin"))
            self.assertRegex(daemon.ctl_ok("ps"), r"demo .* 3 +pinned\n")

    def test_list_names_on_standard_error_what_it_leaves_out(self):
        with tempfile.TemporaryDirectory() as models, Daemon(models) as daemon:
            self.assertEqual("", daemon.ctl("list", "-o", "json").stderr)
            Path(models, "half-00001-of-00002.gguf").write_text("x")
            Path(models, "list.gguf").write_text("milk, bread, butter and eggs\n")
            listed = daemon.ctl("list")
            self.assertEqual(0, listed.returncode)
            self.assertRegex(listed.stderr, r"left out of the list:\n  .*half.*00002-of-00002.* is missing")
            self.assertRegex(listed.stderr, r"/list.gguf.?: is no GGUF file")
            self.assertNotIn("list", listed.stdout)
            # A load that failed is in the list, and not left out of it as well.
            self.assertEqual(7, daemon.ctl("load", "list").returncode)
            listed = daemon.ctl("list")
            self.assertRegex(listed.stdout, r"\nlist +29 B +failed ")
            self.assertNotIn("list.gguf", listed.stderr)
            self.assertIn("00002-of-00002", listed.stderr)

    def test_version_is_valid_json_without_a_daemon(self):
        nowhere = {**os.environ, "FORGE_ADDRESS": "unix:///nonexistent/forge.sock"}
        printed = subprocess.run([FORGECTL, "version", "-o", "json"], env=nowhere, capture_output=True)
        self.assertIsNone(json.loads(printed.stdout)["forged"])

    def test_a_pipe_gets_no_bar(self):
        with Daemon() as daemon:
            self.assertEqual("", daemon.ctl("load", "demo").stderr)


if __name__ == "__main__":
    unittest.main()
