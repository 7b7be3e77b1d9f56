"""The path of the README: load, ask, look at the ledger, unload, stop."""

import unittest

from harness import DEMO_MODEL, Daemon


class QuickstartTest(unittest.TestCase):
    def test_serves_the_demo_model_and_gives_every_byte_back(self):
        with Daemon() as daemon:
            self.assertEqual(0, int(daemon.memory()["reservedBytes"]))
            self.assertIn("demo", daemon.ctl_ok("list"))

            self.assertIn("loaded demo on cpu", daemon.ctl_ok("load", "demo"))
            plan = daemon.ctl_json("show", "demo")[0]["details"]["plan"]
            memory = daemon.memory()
            self.assertEqual(plan["totalBytes"], memory["reservedBytes"])
            self.assertEqual(plan["totalBytes"], memory["allocatedBytes"])
            self.assertEqual(3, int(memory["allocationCount"]))
            self.assertEqual("demo", memory["models"][0]["model"])

            text = daemon.ctl_ok("generate", "demo", "--temperature", 0, "Tell me a story about a fox.")
            self.assertIn("fox", text)
            self.assertGreater(len(text.split()), 20)

            self.assertIn("unloaded demo", daemon.ctl_ok("unload", "demo"))
            memory = daemon.memory()
            self.assertEqual(["0"] * 3, [memory[k] for k in
                                         ("reservedBytes", "allocatedBytes", "allocationCount")])

    def test_loads_by_path_and_refuses_paths_outside(self):
        with Daemon() as daemon:
            daemon.ctl_ok("load", DEMO_MODEL)
            self.assertIsNotNone(daemon.resident("demo"))
            result = daemon.ctl("load", "/etc/passwd")
            self.assertNotEqual(0, result.returncode)
            self.assertIn("/etc/passwd", result.stderr)

    def test_answers_every_question_about_itself(self):
        with Daemon() as daemon:
            self.assertIn("forged", daemon.ctl_ok("version"))
            self.assertIn(daemon.address, daemon.ctl_ok("status"))
            self.assertIn("room for", daemon.ctl_ok("memory"))
            daemon.ctl_ok("load", "demo")
            self.assertIn("demo", daemon.ctl_ok("ps"))
            self.assertIn("qwen2", daemon.ctl_ok("show", "demo"))
            ids = daemon.ctl_ok("tokenize", "demo", "Hello there.", "--ids").strip()
            self.assertEqual("Hello there.", daemon.ctl_ok("detokenize", "demo", ids).strip())


if __name__ == "__main__":
    unittest.main()
