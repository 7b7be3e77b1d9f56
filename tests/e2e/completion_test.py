"""What a shell offers behind `forgectl`: asked of bash, and of fish where it is installed."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import DEMO_MODEL, Daemon, FORGECTL, REPOSITORY

SCRIPTS = REPOSITORY / "client" / "completion"


class CompletionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.models = tempfile.TemporaryDirectory(prefix="forge-completion-")
        for name in ("demo.gguf", "my model.gguf"):
            shutil.copy(DEMO_MODEL, Path(cls.models.name, name))
        cls.daemon = Daemon(cls.models.name).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()
        cls.models.cleanup()

    def bash(self, *words, **variables):
        """What bash puts in place of the last word, after it has quoted it."""
        script = (f"source '{SCRIPTS}/forgectl.bash'\n"
                  "COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1))\n_forgectl\n"
                  "printf '%s\\n' \"${COMPREPLY[@]}\"")
        run = subprocess.run(["bash", "-c", script, "bash", FORGECTL, *words], text=True,
                             capture_output=True, timeout=20,
                             env={**self.daemon.environment(), **variables})
        self.assertEqual(("", 0), (run.stderr, run.returncode))
        return run.stdout.split("\n")[:-1]

    def assert_models(self, expected, *words):
        # A shell waits half a second for the daemon, which a busy machine may need for another test.
        for _ in range(5):
            offered = self.bash(*words)
            if offered != [""]:
                break
        self.assertEqual(expected, offered)

    def test_bash_offers_commands_options_values_and_models(self):
        self.assertEqual(["load"], self.bash("lo"))
        self.assertEqual(["--context"], self.bash("load", "demo", "--con"))
        self.assertEqual(["f16", "f32"], self.bash("load", "--kv-cache-type", "=", "f"))
        self.assert_models(["demo", r"my\ model"], "load", "")
        self.assertEqual([""], self.bash("unload", ""))
        self.daemon.ctl_ok("load", "demo")
        self.assert_models(["demo"], "unload", "")

    def test_says_nothing_where_no_daemon_answers(self):
        self.assertEqual([""], self.bash("load", "", FORGE_ADDRESS="unix:///nowhere/forge.sock"))
        self.assertEqual([""], self.bash("load", "", FORGE_ADDRESS="nonsense"))

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish_offers_the_same_with_descriptions(self):
        script = f"source '{SCRIPTS}/forgectl.fish'; complete -C 'forgectl lo'; complete -C 'forgectl load d'"
        folder = Path(FORGECTL).parent
        run = subprocess.run(["fish", "--no-config", "-c", f"set -gx PATH {folder} $PATH; {script}"],
                             text=True, capture_output=True, env=self.daemon.environment(), timeout=20)
        self.assertEqual("load\tLoad a model and keep it resident\ndemo\n", run.stdout, run.stderr)


if __name__ == "__main__":
    unittest.main()
