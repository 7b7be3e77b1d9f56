"""Families that keep something else than keys and values, or give something else than answers: what
llama.cpp was recorded to say, through the daemon and forgectl."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from harness import REPOSITORY, Daemon  # also puts the generated stubs on the path

import grpc
from forge.v1 import forge_pb2 as pb
from forge.v1 import forge_pb2_grpc

WRITER = pathlib.Path(os.environ["FORGE_BUILD_DIR"]) / "tests/conformance/write_llama_cpp_models"


def recorded(name):
    path = REPOSITORY / "tests/conformance/llama_cpp" / f"{name}.json"
    return json.loads(path.read_text())["cases"]


class FamiliesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.models = tempfile.TemporaryDirectory(prefix="forge-families-")
        subprocess.run([WRITER, cls.models.name], check=True)
        cls.daemon = Daemon(cls.models.name).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()
        cls.models.cleanup()

    def generate(self, name, prompt, n_tokens):
        events = self.daemon.ctl_json("generate", name, "--token-ids", ",".join(map(str, prompt)),
                                      "--max-tokens", n_tokens, "--temperature", 0, "--ignore-end",
                                      "--top-logprobs", 12)
        finished = next(e["finished"] for e in events if "finished" in e)
        return [e["token"] for e in events if "token" in e], int(finished["usage"].get("cachedTokens", 0))

    def test_recurrent_models_say_what_was_recorded_anew_and_from_kept_states(self):
        for name in ("granitehybrid", "lfm2", "lfm2moe", "nemotron_h", "nemotron_h_moe", "qwen35", "qwen35moe",
                     "qwen3next"):
            self.daemon.ctl_ok("load", name, "--kv-cache-type", "f32")
            for case in recorded(name):
                steps = case["steps"]
                for turn in ("anew", "again"):
                    with self.subTest(name, turn=turn, prompt=len(case["prompt"])):
                        tokens, n_cached = self.generate(name, case["prompt"], len(steps))
                        self.assertEqual([s["token"] for s in steps], [t["id"] for t in tokens])
                        for step, token in zip(steps, tokens):
                            ours = {e["token"]: e["logprob"] for e in token["topLogprobs"]}
                            for token_id, logprob in step["top"][:10]:  # ties at the end may swap places
                                self.assertAlmostEqual(logprob, ours[token_id], delta=5e-4)
                        # Of 90 tokens the state after 64 is kept, of shorter prompts none.
                        wanted = 64 if turn == "again" and len(case["prompt"]) == 90 else 0
                        self.assertEqual(wanted, n_cached)
            self.daemon.ctl_ok("unload", name)

    def test_layers_that_share_keys_say_what_was_recorded_anew_and_from_kept_blocks(self):
        for name in ("gemma4-e2b", "gemma4-31b", "gemma4-26b"):
            self.daemon.ctl_ok("load", name, "--kv-cache-type", "f32")
            for case in recorded(name):
                steps = case["steps"]
                answers = [self.generate(name, case["prompt"], len(steps)) for _ in ("anew", "again")]
                with self.subTest(name, prompt=len(case["prompt"])):
                    self.assertEqual(answers[0][0], answers[1][0])
                    tokens = answers[0][0]
                    self.assertEqual([s["token"] for s in steps], [t["id"] for t in tokens])
                    for step, token in zip(steps, tokens):
                        ours = {e["token"]: e["logprob"] for e in token["topLogprobs"]}
                        for token_id, logprob in step["top"][:8]:  # ties at the end may swap places
                            self.assertAlmostEqual(logprob, ours[token_id], delta=3e-3)  # GELU in binary16
            self.daemon.ctl_ok("unload", name)

    def test_encoders_embed_as_was_recorded_and_do_nothing_else(self):
        with grpc.insecure_channel(self.daemon.address,
                                   options=[("grpc.default_authority", "localhost")]) as channel:
            stub = forge_pb2_grpc.ForgeServiceStub(channel)
            for name in ("bert", "nomic-bert"):
                inputs = [pb.TextInput(tokens=pb.TokenIds(ids=case["prompt"])) for case in recorded(name)]
                vectors = [answer.values for answer in stub.Embed(pb.EmbedRequest(
                    model=name, inputs=inputs, pooling=pb.POOLING_MEAN, normalize=False))]
                self.assertEqual(len(inputs), len(vectors))
                for case, vector in zip(recorded(name), vectors):
                    with self.subTest(name, prompt=len(case["prompt"])):
                        for wanted, value in zip(case["mean"], vector, strict=True):
                            self.assertAlmostEqual(wanted, value, delta=3e-3)
                result = self.daemon.ctl("generate", name, "Once")
                self.assertEqual(1, result.returncode)
                self.assertIn("embeds texts", result.stderr)


if __name__ == "__main__":
    unittest.main()
