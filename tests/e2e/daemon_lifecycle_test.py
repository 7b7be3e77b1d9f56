"""How forged starts, stops and refuses to start."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from harness import FORGED, REPOSITORY, Daemon


def run_forged(*args):
    return subprocess.run([FORGED, *map(str, args)], capture_output=True, text=True, timeout=20)


class DaemonLifecycleTest(unittest.TestCase):
    def test_sigterm_lets_a_running_answer_end_and_exits_with_0(self):
        with Daemon() as daemon:
            daemon.ctl_ok("load", "demo")
            client = daemon.start_ctl("generate", "demo", "-o", "json", "--ignore-end", "--max-tokens",
                                      400, "Tell me a story.")
            client.stdout.readline()
            daemon.process.terminate()
            events = [json.loads(line) for line in client.stdout]
            self.assertEqual(0, client.wait(20), client.stderr.read())
            self.assertEqual("FINISH_REASON_MAX_TOKENS", events[-1]["finished"]["reason"])
            self.assertEqual(0, daemon.process.wait(20))
            self.assertFalse(daemon.socket.exists())
            client.stdout.close()
            client.stderr.close()

    def test_sigterm_cancels_what_outlasts_the_drain_timeout(self):
        with Daemon(config="drain_timeout: 300ms\n") as daemon:
            daemon.ctl_ok("load", "demo")
            client = daemon.start_ctl("generate", "demo", "-o", "json", "--ignore-end", "Tell me a story.")
            client.stdout.readline()
            start = time.monotonic()
            daemon.process.terminate()
            self.assertEqual(0, daemon.process.wait(20))
            # The client reads no more. Left alone, gRPC would wait 4.6 s, and at times 10 s, for it.
            self.assertLess(time.monotonic() - start, 4)
            client.communicate()

    def test_clients_tell_a_broken_connection_from_one_that_is_not_taken(self):
        with Daemon() as daemon:
            daemon.ctl_ok("load", "demo")
            client = daemon.start_ctl("generate", "demo", "-o", "json", "--ignore-end", "Tell me a story.")
            client.stdout.readline()
            daemon.process.kill()
            _, said = client.communicate(timeout=20)
            self.assertEqual(5, client.returncode)
            self.assertIn("broke before its answer was whole", said)
            daemon.process.wait()
            gone = daemon.ctl("status")
            self.assertEqual(5, gone.returncode)
            self.assertIn("no daemon answers", gone.stderr)

    def test_one_connection_too_many_is_told(self):
        with Daemon() as daemon:
            followers = []
            try:
                deadline = time.monotonic() + 30
                while (last := daemon.ctl("status")).returncode == 0 and time.monotonic() < deadline:
                    # Again and again: one may have found the connection of `status` in its place.
                    n_followers = sum(follower.poll() is None for follower in followers)
                    followers += [daemon.start_ctl("events", "-f") for _ in range(64 - n_followers)]
                    time.sleep(0.05)
                self.assertEqual(5, last.returncode)
                self.assertIn("closes new connections", last.stderr)
            finally:
                for follower in followers:
                    follower.kill()
                    follower.communicate()
            self.assertIn("forged", daemon.ctl_ok("status"))

    def test_an_idle_daemon_stops_within_a_second(self):
        with Daemon() as daemon:
            start = time.monotonic()
            daemon.process.terminate()
            self.assertEqual(0, daemon.process.wait(20))
            self.assertLess(time.monotonic() - start, 1)

    def test_an_idle_daemon_uses_no_processor_time(self):
        with Daemon() as daemon:
            daemon.ctl_ok("load", "demo")
            daemon.ctl_ok("generate", "demo", "--max-tokens", 3, "Hello!")
            time.sleep(0.3)
            ticks = self.processor_ticks(daemon.process.pid)
            time.sleep(1.0)
            self.assertLessEqual(self.processor_ticks(daemon.process.pid) - ticks, 3)

    def processor_ticks(self, pid):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def test_replaces_a_stale_socket_but_not_a_live_one(self):
        with Daemon() as daemon:
            result = run_forged("--listen", daemon.address)
            self.assertEqual(1, result.returncode)
            self.assertIn(str(daemon.socket), result.stderr)
            daemon.ctl_ok("status")
            daemon.process.kill()
            daemon.process.wait()
            self.assertTrue(daemon.socket.exists())
            with daemon:
                daemon.ctl_ok("status")

    def test_does_not_share_the_state_directory_of_another(self):
        with tempfile.TemporaryDirectory() as state:
            config = f"state_directory: {state}\n"
            with Daemon(config=config) as first:
                other = first.root / "other.sock"
                result = run_forged("--listen", f"unix://{other}", "--config", first.root / "config.yaml")
                self.assertEqual(1, result.returncode)
                self.assertIn(f"another forged uses the state directory {state}", result.stderr)
                self.assertFalse(other.exists())
                first.ctl_ok("status")
                first.process.kill()
                first.process.wait()
                with first:
                    first.ctl_ok("status")

    def test_the_shipped_configuration_is_valid(self):
        result = run_forged("--check-config", "--config", REPOSITORY / "config.yaml")
        self.assertEqual(0, result.returncode, result.stderr)

    def test_refuses_bad_configuration_with_line_and_column(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write("memory:\n  policy: share\n  free_fractoin: 0.5\n")
            config.flush()
            result = run_forged("--check-config", "--config", config.name)
            self.assertEqual(2, result.returncode)
            self.assertIn(":3:3", result.stderr)
            self.assertIn("free_fractoin", result.stderr)

    def test_refuses_unknown_flags_and_unsafe_addresses(self):
        self.assertEqual(2, run_forged("--nonsense").returncode)
        result = run_forged("--listen", "0.0.0.0:50051")
        self.assertEqual(2, result.returncode)
        self.assertIn("0.0.0.0", result.stderr)

    def test_tells_systemd_when_it_is_ready_and_when_it_stops(self):
        with tempfile.TemporaryDirectory() as folder, \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            path = os.path.join(folder, "notify")
            notify.bind(path)
            notify.settimeout(10)
            os.environ["NOTIFY_SOCKET"] = path
            try:
                with Daemon() as daemon:
                    self.assertIn("READY=1", self.receive_until(notify, "READY=1"))
                    daemon.process.send_signal(signal.SIGTERM)
                    self.assertIn("STOPPING=1", self.receive_until(notify, "STOPPING=1"))
            finally:
                del os.environ["NOTIFY_SOCKET"]

    def receive_until(self, notify, word):
        received = ""
        while word not in received:
            received += notify.recv(4096).decode() + "\n"
        return received

    def test_feeds_the_watchdog(self):
        with tempfile.TemporaryDirectory() as folder, \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            path = os.path.join(folder, "notify")
            notify.bind(path)
            notify.settimeout(10)
            os.environ.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="400000")
            try:
                with Daemon():
                    self.receive_until(notify, "WATCHDOG=1")
            finally:
                del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]


if __name__ == "__main__":
    unittest.main()
