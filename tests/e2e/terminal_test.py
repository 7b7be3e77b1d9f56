"""What a person at a terminal sees, and a pipe does not."""

import os
import pty
import subprocess
import unittest

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

    def test_a_second_load_says_that_nothing_was_loaded(self):
        with Daemon() as daemon:
            self.assertIn("loaded demo on cpu", daemon.ctl_ok("load", "demo"))
            again = daemon.ctl("load", "demo", "--pin")
            self.assertEqual(0, again.returncode)
            self.assertIn("demo is resident already on cpu", again.stdout)
            self.assertIn("--pin, --priority and --keep-alive change nothing", again.stderr)

    def test_a_pipe_gets_no_bar(self):
        with Daemon() as daemon:
            self.assertEqual("", daemon.ctl("load", "demo").stderr)


if __name__ == "__main__":
    unittest.main()
