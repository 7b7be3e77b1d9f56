"""Files that are no models, models that do not fit: one clear sentence, the right exit code, and a
daemon that goes on serving."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import DEMO_MODEL, FORGECTL, Daemon


class LoadErrorsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.models = tempfile.TemporaryDirectory(prefix="forge-models-")
        folder = Path(cls.models.name)
        data = DEMO_MODEL.read_bytes()
        (folder / "good.gguf").write_bytes(data)
        (folder / "text.gguf").write_text("This is a shopping list.\n" * 10)
        (folder / "empty.gguf").write_bytes(b"")
        (folder / "cut-header.gguf").write_bytes(data[:1000])
        (folder / "cut-data.gguf").write_bytes(data[:-1000])
        (folder / "folder.gguf").mkdir()
        os.mkfifo(folder / "pipe.gguf")
        (folder / "outside.gguf").symlink_to("/etc/passwd")
        cls.folder = folder
        # Room for the model itself and little more.
        cls.daemon = Daemon(folder, config="memory:\n  cap: 64MiB\n").__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()
        cls.models.cleanup()

    def check(self, model, exit_code, *words, args=()):
        result = self.daemon.ctl("load", model, *args)
        self.assertEqual(exit_code, result.returncode, result.stderr)
        self.assertEqual("", result.stdout)
        self.assertEqual(1, result.stderr.count("\n"), result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertEqual("0", self.daemon.memory()["reservedBytes"])
        self.assertEqual("0", self.daemon.memory()["allocatedBytes"])

    def test_refuses_a_text_file(self):
        self.check("text", 7, "text.gguf", "GGUF")

    def test_refuses_an_empty_file(self):
        self.check("empty", 7, "empty.gguf")

    def test_refuses_a_truncated_header(self):
        self.check("cut-header", 7, "cut-header.gguf")

    def test_refuses_truncated_data(self):
        self.check("cut-data", 7, "cut-data.gguf")

    def test_refuses_what_is_no_file(self):
        for name, code in (("folder", 7), ("pipe", 7), ("outside", 2)):
            with self.subTest(name):
                result = self.daemon.ctl("load", name)
                self.assertEqual(code, result.returncode, result.stderr)
                self.assertEqual(1, result.stderr.count("\n"), result.stderr)

    def test_shows_no_figures_of_a_file_that_failed(self):
        self.check("cut-data", 7, "cut-data.gguf")
        shown = self.daemon.ctl("show", "cut-data")
        self.assertEqual(1, shown.returncode)
        self.assertEqual(["Name", "File", "State"], [line.split()[0] for line in shown.stdout.splitlines()])
        self.assertIn("failed: ", shown.stdout)

    def test_refuses_a_missing_model(self):
        self.check("missing", 3, "missing")
        self.check(self.folder / "missing.gguf", 3, "missing.gguf")

    def test_refuses_a_model_too_big_for_the_budget_with_every_number(self):
        self.check("good", 6, "cap", args=("--parallel", 256))

    def test_takes_a_path_from_the_working_directory(self):
        here = self.folder / "sub"
        here.mkdir(exist_ok=True)
        for folder, path in ((self.folder, "./good.gguf"), (self.folder, "good.gguf"), (here, "../good.gguf")):
            with self.subTest(path):
                shown = subprocess.run([FORGECTL, "show", path, "-o", "json"], cwd=folder, text=True,
                                       capture_output=True, env=self.daemon.environment())
                self.assertEqual("", shown.stderr)
                self.assertEqual("good", json.loads(shown.stdout)["name"])
        outside = subprocess.run([FORGECTL, "show", "./demo.gguf"], cwd=DEMO_MODEL.parent, text=True,
                                 capture_output=True, env=self.daemon.environment())
        self.assertEqual(2, outside.returncode)
        self.assertIn(f"'{DEMO_MODEL}' lies outside the model directories", outside.stderr)

    def test_serves_after_every_refusal(self):
        self.daemon.ctl_ok("load", "good", "--parallel", 1, "--context", 256)
        try:
            self.daemon.ctl_ok("generate", "good", "--max-tokens", 3, "Hello!")
        finally:
            self.daemon.ctl_ok("unload", "good")

    def test_goes_on_when_a_resident_models_file_is_truncated_or_replaced(self):
        copy = self.folder / "copy.gguf"
        shutil.copy(DEMO_MODEL, copy)
        self.daemon.ctl_ok("load", "copy", "--parallel", 1, "--context", 256)
        before = self.daemon.ctl_ok("generate", "copy", "--temperature", 0, "Hello!")
        copy.write_bytes(b"gone")
        self.assertEqual(before, self.daemon.ctl_ok("generate", "copy", "--temperature", 0, "Hello!"))
        copy.unlink()
        self.assertEqual(before, self.daemon.ctl_ok("generate", "copy", "--temperature", 0, "Hello!"))
        self.daemon.ctl_ok("unload", "copy")


if __name__ == "__main__":
    unittest.main()
