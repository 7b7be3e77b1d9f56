"""Reference answers, reproduced from the shell."""

import json
import unittest

from harness import Daemon, answer, conformance_dir


class ConformanceTest(unittest.TestCase):
    def test_forgectl_prints_the_greedy_text_of_stories260k(self):
        folder = conformance_dir() / "models"
        reference = json.loads((folder / "stories260K.json").read_text())
        with Daemon(folder) as daemon:
            daemon.ctl_ok("load", "stories260K")
            for case in reference["cases"]:
                with self.subTest(case["prompt"]):
                    events = daemon.ctl_json("generate", "stories260K", case["prompt"], "--temperature",
                                             0, "--max-tokens", reference["max_tokens"])
                    self.assertEqual(case["greedy_text"], answer(events))

    def test_a_conformance_case_is_reproducible_from_the_shell(self):
        folder = conformance_dir() / "architectures"
        with Daemon(folder) as daemon:
            # One of each family.
            for name in ("llama-gqa", "mixtral", "qwen2-tied-norope-key", "qwen2moe", "qwen3", "qwen3moe",
                         "gemma", "gemma2", "gemma3", "glm4", "chatglm", "phi3", "gpt-oss"):
                reference = json.loads((folder / f"{name}.json").read_text())
                daemon.ctl_ok("load", name, "--kv-cache-type", "f32")
                for case in reference["cases"]:
                    with self.subTest(name):
                        self.check_case(daemon, name, case)
                daemon.ctl_ok("unload", name)

    def check_case(self, daemon, name, case):
        events = daemon.ctl_json("generate", name, "--token-ids", ",".join(map(str, case["prompt"])),
                                 "--max-tokens", len(case["steps"]), "--temperature", 0,
                                 "--top-logprobs", 24, "--ignore-end")
        tokens = [e["token"] for e in events if "token" in e]
        self.assertEqual([s["token"] for s in case["steps"]], [t["id"] for t in tokens])
        for step, token in zip(case["steps"], tokens):
            ours = {entry["token"]: entry["logprob"] for entry in token["topLogprobs"]}
            self.assertEqual(24, len(ours))
            for token_id, logprob in step["top"][:20]:  # ties at the end may swap places
                self.assertAlmostEqual(logprob, ours[token_id], delta=5e-4)


if __name__ == "__main__":
    unittest.main()
