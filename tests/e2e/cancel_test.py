"""Ctrl-C, killed clients, and what they leave behind: nothing."""

import json
import signal
import statistics
import unittest

from harness import Daemon, wait_until  # also puts the generated stubs on the path

import grpc
from forge.v1 import forge_pb2 as pb
from forge.v1 import forge_pb2_grpc

LONG = ("--ignore-end", "--max-tokens", 1000000, "Tell me a story.")


class CancelTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(config="defaults:\n  max_sequences: 2\n").__enter__()
        cls.daemon.ctl_ok("load", "demo")
        cls.channel = grpc.insecure_channel(cls.daemon.address,
                                            options=[("grpc.default_authority", "localhost")])
        cls.stub = forge_pb2_grpc.ForgeServiceStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.daemon.__exit__()

    def busy_slots(self):
        """What `forgectl ps -o json` shows, without the time that starting it takes."""
        models = self.stub.ListModels(pb.ListModelsRequest(resident_only=True)).models
        return models[0].residency.busy_slot_count

    def start_long_answer(self):
        client = self.daemon.start_ctl("generate", "demo", "-o", "json", *LONG)
        for line in client.stdout:
            if "token" in json.loads(line):
                break
        self.assertEqual(1, self.busy_slots())
        return client

    def close(self, client):
        client.stdout.close()
        client.stderr.close()

    def test_a_killed_client_frees_its_slot_within_50_ms(self):
        delays = []
        for _ in range(7):
            client = self.start_long_answer()
            client.kill()
            client.wait()
            delays.append(wait_until(lambda: self.busy_slots() == 0, 1.0))
            self.close(client)
        self.assertLess(statistics.median(delays), 0.05, delays)
        self.assertEqual(0, self.daemon.resident("demo")["busySlotCount"])

    def test_ctrl_c_ends_the_answer_and_exits_with_130(self):
        client = self.start_long_answer()
        client.send_signal(signal.SIGINT)
        rest = client.stdout.read().splitlines()
        self.assertEqual(130, client.wait(10))
        self.assertEqual("FINISH_REASON_CANCELLED", json.loads(rest[-1])["finished"]["reason"])
        self.assertEqual(0, self.busy_slots())
        self.close(client)

    def test_further_requests_queue_and_are_told_so(self):
        clients = [self.daemon.start_ctl("generate", "demo", "-o", "json", *LONG) for _ in range(2)]
        for client in clients:
            for line in client.stdout:
                if "token" in json.loads(line):
                    break
        third = self.daemon.start_ctl("generate", "demo", "-o", "json", "--max-tokens", 3, "Hello!")
        first = json.loads(third.stdout.readline())
        self.assertEqual({"queued": {"position": 0}}, first)
        clients[0].kill()
        events = [json.loads(line) for line in third.stdout]
        self.assertEqual(0, third.wait(10))
        self.assertIn("finished", events[-1])
        clients[1].kill()
        for client in (*clients, third):
            client.wait()
            self.close(client)
        wait_until(lambda: self.busy_slots() == 0, 1.0)


if __name__ == "__main__":
    unittest.main()
