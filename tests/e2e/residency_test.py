"""Three models where two fit: who is evicted, who never is, who waits, and what everybody is told."""

import json
import random
import re
import shutil
import tempfile
import threading
import unittest
from pathlib import Path

from harness import DEMO_MODEL, Daemon, wait_until  # also puts the generated stubs on the path

import grpc
from forge.v1 import forge_pb2 as pb
from forge.v1 import forge_pb2_grpc

# The demo model takes 16.1 MiB with the default options.
CONFIG = "memory:\n  cap: 39MiB\nresidency:\n  min_residence: 0ms\n  patience: 1s\n"
LONG = ("--ignore-end", "--max-tokens", 1000000, "Tell me a story.")


class ResidencyTest(unittest.TestCase):
    def setUp(self):
        self.models = tempfile.TemporaryDirectory(prefix="forge-models-")
        for name in "abc":
            shutil.copy(DEMO_MODEL, Path(self.models.name) / f"{name}.gguf")
        self.daemon = Daemon(self.models.name, config=CONFIG).__enter__()
        self.clients = []

    def tearDown(self):
        for client in self.clients:
            self.stop(client)
        self.daemon.__exit__()
        self.models.cleanup()

    def resident(self):
        return {m["name"] for m in self.daemon.ctl_json("ps") if m["state"] == "MODEL_STATE_READY"}

    def start(self, *args, until):
        """A client of which `until(event)` was seen."""
        client = self.daemon.start_ctl(*args, "-o", "json")
        self.clients.append(client)
        for line in client.stdout:
            if until(json.loads(line)):
                return client
        self.fail(f"{args} ended early: {client.stderr.read()}")

    def start_answer(self, model):
        return self.start("generate", model, *LONG, until=lambda e: "token" in e)

    def stop(self, client):
        if client.poll() is None:
            client.kill()
        client.wait()
        client.stdout.close()
        client.stderr.close()

    def test_the_model_that_nobody_uses_makes_room(self):
        self.daemon.ctl_ok("load", "a")
        self.daemon.ctl_ok("load", "b")
        answer = self.start_answer("a")
        self.daemon.ctl_ok("load", "c")
        self.assertEqual({"a", "c"}, self.resident())
        self.assertIn("token", json.loads(answer.stdout.readline()))
        self.assertIn("evicted", self.daemon.log())

    def test_a_load_waits_for_models_in_use_and_says_so(self):
        self.daemon.ctl_ok("load", "a")
        self.daemon.ctl_ok("load", "b")
        answers = [self.start_answer(name) for name in "ab"]
        load = self.start("load", "c", until=lambda e: "waitReason" in e.get("progress", {}) and
                          e["progress"]["waitReason"])
        self.assertEqual({"a", "b"}, self.resident())
        self.stop(answers[0])
        load.stdout.read()
        self.assertEqual(0, load.wait(20))
        self.assertIn("c", self.resident())
        self.assertIn("b", self.resident(), "its answer still runs")

    def test_pins_that_leave_no_room_are_named(self):
        self.daemon.ctl_ok("load", "a", "--pin")
        self.daemon.ctl_ok("load", "b")
        self.daemon.ctl_ok("pin", "b")
        refused = self.daemon.ctl("load", "c")
        self.assertEqual(6, refused.returncode)
        self.assertIn("pinned", refused.stderr)
        self.assertEqual({"a", "b"}, self.resident())
        self.daemon.ctl_ok("pin", "--off", "b")
        self.daemon.ctl_ok("load", "c")
        self.assertEqual({"a", "c"}, self.resident())

    def test_priorities_protect(self):
        self.daemon.ctl_ok("load", "a", "--priority", 5)
        self.daemon.ctl_ok("load", "b", "--priority", 5)
        refused = self.daemon.ctl("load", "c")
        self.assertEqual(6, refused.returncode, refused.stderr)
        self.daemon.ctl_ok("load", "c", "--priority", 5)

    def test_plan_says_what_would_happen_and_does_nothing(self):
        plan = self.daemon.ctl_json("plan", "a")[0]
        self.assertEqual("DECISION_FITS", plan["decision"])
        self.assertEqual(plan["details"]["plan"], self.daemon.ctl_json("show", "a")[0]["details"]["plan"])
        self.daemon.ctl_ok("load", "a")
        self.daemon.ctl_ok("load", "b")
        plan = self.daemon.ctl_json("plan", "c")[0]
        self.assertEqual("DECISION_EVICT", plan["decision"])
        self.assertEqual(1, len(plan["models"]))
        self.assertEqual("DECISION_RESIDENT", self.daemon.ctl_json("plan", "a")[0]["decision"])
        refused = self.daemon.ctl("plan", "c", "--parallel", 100)
        self.assertEqual(6, refused.returncode, refused.stderr)
        self.assertEqual({"a", "b"}, self.resident())

    def test_the_longest_context_of_a_plan_fits_and_one_block_more_does_not(self):
        self.daemon.ctl_ok("load", "b")
        parallel = ("--parallel", 100)
        longest = self.daemon.ctl_json("plan", "a", "--context", 32, *parallel)[0]["longestContext"]
        fits = self.daemon.ctl_json("plan", "a", "--context", longest, *parallel)[0]
        self.assertEqual("DECISION_FITS", fits["decision"])
        beyond = self.daemon.ctl("plan", "a", "--context", longest + 32, *parallel, "-o", "json")
        self.assertNotEqual("DECISION_FITS", json.loads(beyond.stdout)["decision"])

    def test_generate_loads_what_is_not_resident(self):
        events = self.daemon.ctl_json("generate", "a", "--max-tokens", 3, "Hello!")
        self.assertTrue(any("loadProgress" in e for e in events))
        self.assertIn("finished", events[-1])
        self.assertEqual({"a"}, self.resident())

    def test_a_model_goes_when_its_keep_alive_is_over(self):
        self.daemon.ctl_ok("load", "a", "--keep-alive", "0s")
        self.assertEqual({"a"}, self.resident())
        self.daemon.ctl_ok("generate", "a", "--max-tokens", 3, "Hello!")
        wait_until(lambda: self.resident() == set(), 5)
        self.assertEqual("0", self.daemon.memory()["allocatedBytes"])

    def test_yield_frees_what_is_idle(self):
        self.daemon.ctl_ok("load", "a")
        self.daemon.ctl_ok("load", "b")
        self.start_answer("a")
        self.assertEqual(["b"], self.daemon.ctl_json("yield")[0]["models"])
        wait_until(lambda: self.resident() == {"a"}, 5)

    def test_two_thousand_random_calls_of_eight_clients_end_as_documented(self):
        allowed = {"", "MODEL_NOT_LOADED", "MODEL_BUSY", "LOAD_CANCELLED", "MODEL_OPTIONS_DIFFER",
                   "CLIENT_GONE"}
        seen = {}
        lock = threading.Lock()

        def client(seed):
            rng = random.Random(seed)
            with grpc.insecure_channel(self.daemon.address,
                                       options=[("grpc.default_authority", "localhost")]) as channel:
                stub = forge_pb2_grpc.ForgeServiceStub(channel)
                for _ in range(250):
                    reason = self.random_call(stub, rng)
                    with lock:
                        seen[reason] = seen.get(reason, 0) + 1

        threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(2000, sum(seen.values()))
        self.assertLessEqual(set(seen), allowed, seen)
        self.assertGreater(seen[""], 500, seen)
        for name in self.resident():
            self.daemon.ctl("unload", name)
        wait_until(lambda: self.daemon.memory()["reservedBytes"] == "0", 10)
        self.assertEqual("0", self.daemon.memory()["allocatedBytes"])

    def random_call(self, stub, rng):
        """The reason that one random call ended with; empty: it succeeded."""
        model = rng.choice("abc")
        what = rng.random()
        try:
            if what < 0.2:
                requests = [pb.LoadModelRequest(start=pb.LoadModelRequest.Start(model=model))]
                if rng.random() < 0.2:
                    requests.append(pb.LoadModelRequest(cancel=pb.LoadModelRequest.Cancel()))
                list(stub.LoadModel(iter(requests), timeout=60))
            elif what < 0.3:
                stub.UnloadModel(pb.UnloadModelRequest(model=model), timeout=60)
            else:
                turn = pb.GenerateRequest.Turn(model=model, max_tokens=rng.randrange(1, 8),
                                               text=pb.TextPrompt(text="Once upon a time"))
                call = stub.Generate(iter([pb.GenerateRequest(turn=turn)]), timeout=60)
                for index, _ in enumerate(call):
                    if index == 2 and rng.random() < 0.2:
                        call.cancel()
                        return "CLIENT_GONE"
        except grpc.RpcError as error:
            return self.reason_of(error)
        return ""

    def reason_of(self, error):
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                return re.search(rb"[A-Z]+(?:_[A-Z]+)+", value).group().decode()
        return f"{error.code()}: {error.details()}"


if __name__ == "__main__":
    unittest.main()
