"""What happened to memory and why, as people read it, and what a restart brings back."""

import json
import shutil
import signal
import tempfile
import unittest
from pathlib import Path

from harness import DEMO_MODEL, Daemon, wait_until
from sparse_model import write_sparse_model

# The demo model takes 16.1 MiB with the default options: two of three fit.
RULES = "memory:\n  cap: 39MiB\nresidency:\n  min_residence: 0ms\n"


class Machine(unittest.TestCase):
    """Models, and a state directory that outlives the daemons of a test."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="forge-state-")
        self.root = Path(self.folder.name)
        self.state = self.root / "state"
        self.models = self.root / "models"
        self.models.mkdir()
        for name in "abc":
            shutil.copy(DEMO_MODEL, self.models / f"{name}.gguf")

    def tearDown(self):
        self.folder.cleanup()

    def start(self, rules=RULES):
        return Daemon(self.models, config=f"{rules}state_directory: {self.state}\n")

    def audit(self):
        return [json.loads(line) for line in (self.state / "audit.jsonl").read_text().splitlines()]


def kinds(events):
    return [e["kind"].removeprefix("EVENT_KIND_").lower() for e in events]


def ready(daemon):
    return {m["name"] for m in daemon.ctl_json("ps") if m["state"] == "MODEL_STATE_READY"}


class EventsTest(Machine):
    def test_every_decision_is_told_logged_and_recorded(self):
        with self.start() as daemon:
            for name in "abc":
                daemon.ctl_ok("load", name)
            daemon.ctl_ok("unload", "c")
            events = daemon.ctl_json("events")
            self.assertEqual(["admitted", "loaded", "admitted", "loaded", "unloading", "waiting",
                              "released", "admitted", "loaded", "unloading", "released"], kinds(events))
            evicted = events[4]
            self.assertEqual("UNLOAD_CAUSE_EVICTED", evicted["cause"])
            self.assertEqual("c", evicted["decision"]["model"])
            self.assertEqual({"a", "b"}, {r["model"] for r in evicted["decision"]["residents"]})
            table = daemon.ctl_ok("events", "-n", 3)
            self.assertRegex(table, r"unloading/asked +cpu +c ")
            self.assertEqual(4, len(table.splitlines()))
            self.assertRegex(daemon.log(), r"event=unloading model='[ab]' device=cpu cause=evicted bytes=\d+ "
                                           r"free_bytes=\d+ reserved_bytes=\d+ allocated_bytes=\d+: model 'c'")
        recorded = self.audit()
        self.assertEqual([e["number"] for e in events], [e["number"] for e in recorded])
        self.assertEqual(evicted["decision"]["reason"], recorded[4]["decision"]["reason"])

    def test_replay_says_what_other_settings_would_have_done(self):
        with self.start() as daemon:
            for name in "abc":
                daemon.ctl_ok("load", name)
            file = self.root / "events.jsonl"
            file.write_text(daemon.ctl_ok("events", "-o", "json"))
            same = daemon.ctl_ok("policy", "replay", file)
            self.assertIn("0 of 5 decisions would have been others", same)
            wider = daemon.ctl_ok("policy", "replay", "--cap-bytes", "100MiB", file)
            self.assertRegex(wider, r"cpu +c +evict [ab] +admit +model 'c' needs")
            self.assertIn("2 of 5", wider)
            tighter = daemon.ctl_json("policy", "replay", "--cap-bytes", "1MiB", file)
            self.assertEqual({"KIND_REFUSE"}, {r["decision"]["kind"] for r in tighter})
            fraction = daemon.ctl_ok("policy", "replay", "--free-fraction", "0.000001", "--all", file)
            self.assertIn("bound share", fraction)
            wrong = daemon.ctl("policy", "replay", "--free-fraction", "2", file)
            self.assertNotEqual(0, wrong.returncode)
            self.assertIn("free_fraction", wrong.stderr)
            self.assertEqual(2, daemon.ctl("policy", "replay", self.root / "absent").returncode)
            daemon.process.terminate()
            daemon.process.wait(20)
        with self.start() as daemon:
            wait_until(lambda: len(ready(daemon)) == 2, 20)
            replayed = daemon.ctl_ok("policy", "replay", self.state / "audit.jsonl")
            self.assertRegex(replayed, r"0 of \d+ decisions")

    def test_followers_see_what_happens_until_the_daemon_stops(self):
        with self.start() as daemon:
            follower = daemon.start_ctl("events", "-f", "-o", "json")
            daemon.ctl_ok("load", "a")
            self.assertEqual("EVENT_KIND_ADMITTED", json.loads(follower.stdout.readline())["kind"])
            self.assertEqual("EVENT_KIND_LOADED", json.loads(follower.stdout.readline())["kind"])
            watcher = daemon.start_ctl("memory", "--watch", "--interval", "250ms", "-o", "json")
            for _ in range(3):
                device = json.loads(watcher.stdout.readline())["devices"][0]
            self.assertEqual("a", device["models"][0]["model"])
            self.assertGreater(int(device["driftBytes"]), 0)
            watcher.send_signal(signal.SIGINT)
            self.assertEqual(130, watcher.wait(10))
            bar = daemon.ctl_ok("memory")
            self.assertRegex(bar, r"\n\[[#=\-+or ]{60}\]\n.* by others, ")
            daemon.process.terminate()
            self.assertEqual(0, daemon.process.wait(20), "watches do not hold up a stop")
            self.assertNotEqual(0, follower.wait(10))
            for client in (follower, watcher):
                client.stdout.close()
                client.stderr.close()


class RestartTest(Machine):
    def stop(self, daemon):
        daemon.process.terminate()
        self.assertEqual(0, daemon.process.wait(20), daemon.log())

    def kill_while_loading(self, name, rules):
        """Kills a daemon in the middle of a load; where the load was over before this process had its turn, once more."""
        def is_loading():  # a mark that is still being written is NAME.new
            return any(mark.suffix != ".new" for mark in (self.state / "loading").glob("*"))
        for _ in range(10):
            daemon = self.start(rules)
            daemon.launch()
            try:
                wait_until(lambda: is_loading() or f"event=loaded model='{name}'" in daemon.log(), 20)
            finally:
                daemon.process.kill()
                daemon.process.wait()
                daemon.folder.cleanup()
            if is_loading():
                return
        self.fail(f"not one of ten loads of '{name}' was met")

    def test_what_was_resident_at_a_clean_stop_comes_back_as_it_was(self):
        with self.start() as daemon:
            daemon.ctl_ok("load", "a", "--pin", "--context", 256)
            daemon.ctl_ok("load", "b")
            self.stop(daemon)
        with self.start() as daemon:
            wait_until(lambda: ready(daemon) == {"a", "b"}, 20)
            a = next(m for m in daemon.ctl_json("ps") if m["name"] == "a")
            self.assertTrue(a["residency"]["pinned"])
            self.assertEqual(256, a["details"]["options"]["contextLength"])
            daemon.process.kill()
            daemon.process.wait()
        with self.start() as daemon:
            daemon.ctl_ok("load", "c")
            self.assertEqual({"c"}, ready(daemon), "a crash brings nothing back")

    def test_preload_comes_back_always_and_evicts_nothing(self):
        rules = RULES + "  preload: [c, b, a, nobody]\n  restore: false\n"
        for stop in (self.stop, lambda daemon: (daemon.process.kill(), daemon.process.wait())):
            with self.start(rules) as daemon:
                wait_until(lambda: kinds(daemon.ctl_json("events")).count("not_restored") == 2, 20)
                self.assertEqual({"b", "c"}, ready(daemon))
                self.assertIn("event=not_restored model='a' error=GPU_BUDGET_EXCEEDED", daemon.log())
                stop(daemon)

    def test_a_load_that_kills_the_daemon_is_not_repeated(self):
        write_sparse_model(self.models / "large.gguf", n_layers=19)  # loads for half a second or more
        rules = "residency:\n  preload: [large, a]\n"
        self.kill_while_loading("large", rules)
        for _ in range(2):  # and it stays so
            with self.start(rules) as daemon:
                wait_until(lambda: ready(daemon) == {"a"}, 20)
                self.assertIn("event=not_restored model='large' error=LOAD_CRASHED", daemon.log())
                self.assertIn("not_restored", kinds(daemon.ctl_json("events")))
                daemon.process.kill()
                daemon.process.wait()
        (self.models / "large.gguf").unlink()
        shutil.copy(DEMO_MODEL, self.models / "large.gguf")
        with self.start(rules) as daemon:
            wait_until(lambda: ready(daemon) == {"a", "large"}, 20)


if __name__ == "__main__":
    unittest.main()
