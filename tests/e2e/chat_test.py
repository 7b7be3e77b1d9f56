"""forgectl chat, on a terminal and in a pipe."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
import unittest

from harness import FORGECTL, Daemon, wait_until

ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z~]|\x1b[=>]|\r|\x07")
QUESTION = "Tell me a story about a fox."


class Terminal:
    """forgectl chat with a terminal of its own."""

    def __init__(self, daemon, *args):
        try:
            self.leader, follower = pty.openpty()
        except OSError as error:  # a chroot without /dev/pts
            raise unittest.SkipTest(f"no terminal can be opened here: {error}")
        self.settings_at_start = termios.tcgetattr(follower)
        self.client = subprocess.Popen(
            [FORGECTL, "chat", "demo", *map(str, args)], stdin=follower, stdout=follower,
            stderr=follower, start_new_session=True, env={**daemon.environment(), "TERM": "xterm"},
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))
        os.close(follower)
        self.seen = b""

    def send(self, text):
        os.write(self.leader, text.encode())

    def wait_for(self, pattern, timeout=60):
        """Waits for the pattern in what is new, and returns everything up to its end."""
        deadline = time.monotonic() + timeout
        while True:
            plain = ESCAPES.sub(b"", self.seen)
            match = re.search(pattern.encode(), plain)
            if match:
                self.seen = plain[match.end():]
                return plain[:match.end()].decode(errors="replace")
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no {pattern!r} in {plain!r}")
            if select.select([self.leader], [], [], left)[0]:
                try:
                    self.seen += os.read(self.leader, 4096)
                except OSError:
                    raise AssertionError(f"the chat ended without {pattern!r}: {plain!r}")

    def end(self):
        """Drains the terminal until the client has left; its exit code."""
        deadline = time.monotonic() + 30
        try:
            while time.monotonic() < deadline:
                if select.select([self.leader], [], [], 1)[0] and not os.read(self.leader, 4096):
                    break
        except OSError:
            pass
        os.close(self.leader)
        return self.client.wait(20)


class ChatTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon().__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def chat(self, text, *args):
        return self.daemon.ctl("chat", "demo", "--temperature", 0, "--max-tokens", 30, *args, input=text)

    def test_answers_lines_of_a_pipe_and_loads_the_model_itself(self):
        self.daemon.ctl("unload", "demo")
        result = self.chat(f"{QUESTION}\n")
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertEqual("", result.stderr)
        generated = self.daemon.ctl_ok("generate", "demo", "--temperature", 0, "--max-tokens", 30, QUESTION)
        self.assertEqual(generated, result.stdout)

    def test_a_model_that_went_between_two_messages_comes_back_with_the_same_options(self):
        self.daemon.ctl("unload", "demo")
        terminal = Terminal(self.daemon, "--context", 320, "--kv-cache-type", "f32", "--max-tokens", 5)
        terminal.wait_for("/help lists the commands")
        self.daemon.ctl_ok("unload", "demo")
        terminal.send(QUESTION + "\n")
        wait_until(lambda: "MODEL_STATE_READY" in {m["state"] for m in self.daemon.ctl_json("ps")}, 20)
        options = self.daemon.ctl_json("ps")[0]["details"]["options"]
        self.assertEqual((320, "KV_CACHE_TYPE_F32"), (options["contextLength"], options["kvCacheType"]))
        terminal.send("\x04")
        self.assertEqual(0, terminal.end())
        self.daemon.ctl_ok("unload", "demo")

    def test_remembers_what_was_said_until_it_is_cleared(self):
        two = self.chat(f"{QUESTION}\n{QUESTION}\n").stdout.splitlines()
        cleared = self.chat(f"{QUESTION}\n/clear\n{QUESTION}\n").stdout.splitlines()
        half = len(cleared) // 2
        self.assertEqual(cleared[:half], cleared[half:])
        self.assertEqual(two[:half], cleared[:half])
        self.assertNotEqual(two, cleared)

    def test_joins_lines_to_one_message(self):
        whole = self.daemon.ctl_ok("generate", "demo", "--temperature", 0, "--max-tokens", 30,
                                   "Who are\nyou?")
        self.assertEqual(whole, self.chat('"""\nWho are\nyou?\n"""\n').stdout)
        self.assertEqual(whole, self.chat("Who are\\\nyou?\n").stdout)

    def test_saves_and_loads_a_conversation(self):
        path = self.daemon.root / "saved.json"
        first = self.chat(f"/system You are a fox.\n{QUESTION}\n/save {path}\nWho are you?\n")
        self.assertEqual(0, first.returncode, first.stderr)
        saved = json.loads(path.read_text())["messages"]
        self.assertEqual(["system", "user", "assistant"], [m["role"] for m in saved])
        second = self.chat(f"/load {path}\nWho are you?\n")
        self.assertEqual(first.stdout.splitlines()[-len(second.stdout.splitlines()):],
                         second.stdout.splitlines())

    def test_sets_options_and_says_what_is_wrong_with_others(self):
        result = self.chat(f"/set max_tokens 3\n/set temperature 0.5\n/set\n{QUESTION}\n/stats\n")
        self.assertIn("temperature: 0.5", result.stderr)
        self.assertIn("answer 3 tokens", result.stderr)
        for line, word in (("/set colour red", "temperature"), ("/set top_k many", "many"),
                           ("/nonsense", "/help"), ("/load /nonexistent", "/nonexistent"),
                           ("/set top_k", "lacks a value"), ("/hepl", "did you mean /help?"),
                           ("/load", "/save wrote")):
            with self.subTest(line):
                bad = self.chat(line + "\n")
                self.assertEqual(2, bad.returncode)
                self.assertIn(word, bad.stderr)

    def test_flags_that_the_resident_model_does_not_have_are_refused(self):
        self.daemon.ctl("load", "demo")
        refused = self.chat("hi\n", "--context", 128)
        self.assertEqual(1, refused.returncode)
        self.assertIn("context_length", refused.stderr)
        self.assertEqual(0, self.chat("hi\n").returncode)

    def test_a_failure_in_a_pipe_is_an_exit_code(self):
        result = self.chat("word " * 20000 + "\n")
        self.assertEqual(2, result.returncode)
        self.assertIn("context", result.stderr)
        self.assertEqual(3, self.daemon.ctl("chat", "absent", input="hi\n").returncode)

    def test_a_terminal_gets_prompts_history_and_help(self):
        terminal = Terminal(self.daemon, "--temperature", 0, "--max-tokens", 10)
        terminal.wait_for(">>> ")
        terminal.send("/help\n")
        self.assertIn("/system TEXT", terminal.wait_for("Ctrl-C ends the answer"))
        terminal.wait_for(">>> ")
        terminal.send("Who are you?\n")
        first = terminal.wait_for(">>> ")
        terminal.send("/clear\n")
        terminal.wait_for(">>> ")
        terminal.send("\x1b[A\x1b[A\n")  # up, past /clear
        answer = first.split("you?\n", 1)[1].split("\n\n")[0]
        terminal.wait_for(re.escape(answer))
        terminal.wait_for(">>> ")
        terminal.send("\x04")
        self.assertEqual(0, terminal.end())

    def test_every_word_for_leaving_leaves(self):
        for word in ("/exit", "/quit", "/bye"):
            result = self.daemon.ctl("chat", "demo", input=f"{word}\n{QUESTION}\n")
            self.assertEqual((0, ""), (result.returncode, result.stdout), result.stderr)

    def test_ctrl_c_ends_the_answer_only(self):
        terminal = Terminal(self.daemon)
        terminal.wait_for(">>> ")
        terminal.send("/set max_tokens 0\n")
        terminal.wait_for(">>> ")
        terminal.send(QUESTION + "\n")
        terminal.wait_for("fox\\.\n.")  # it writes
        terminal.send("\x03")
        terminal.wait_for(">>> ")
        terminal.send("/exit\n")
        self.assertEqual(0, terminal.end())

    def test_ctrl_c_twice_at_an_empty_prompt_leaves(self):
        terminal = Terminal(self.daemon)
        terminal.wait_for(">>> ")
        terminal.send("half a line")
        terminal.wait_for("half a line")
        terminal.send("\x03")
        terminal.wait_for(">>> ")
        terminal.send("\x03")
        terminal.wait_for("Ctrl-C again or Ctrl-D leaves")
        terminal.wait_for(">>> ")
        terminal.send("\x03")
        self.assertEqual(0, terminal.end())

    def test_a_signal_that_ends_it_gives_the_terminal_back(self):
        for end in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            terminal = Terminal(self.daemon)
            before = terminal.settings_at_start
            terminal.wait_for(">>> ")
            terminal.send("Tell me a story.\n")
            terminal.wait_for(r"story\.\n.+")
            self.assertNotEqual(before, termios.tcgetattr(terminal.leader))
            terminal.client.send_signal(end)
            self.assertEqual(-end, terminal.client.wait(20))
            self.assertEqual(before, termios.tcgetattr(terminal.leader))
            os.close(terminal.leader)

    def test_a_pasted_text_of_several_lines_is_one_message(self):
        path = self.daemon.root / "pasted.json"
        terminal = Terminal(self.daemon, "--max-tokens", 3)
        terminal.wait_for(">>> ")
        terminal.send("\x1b[200~Who are\ryou?\x1b[201~\n")
        terminal.wait_for(">>> ")
        terminal.send(f"/save {path}\n")
        terminal.wait_for("saved 2 messages")
        self.assertEqual("Who are\nyou?", json.loads(path.read_text())["messages"][0]["content"])
        terminal.send("\x04")
        self.assertEqual(0, terminal.end())

    def test_keys_typed_during_an_answer_are_for_the_next_prompt(self):
        terminal = Terminal(self.daemon, "--max-tokens", 0)
        terminal.wait_for(">>> ")
        terminal.send(QUESTION + "\n")
        terminal.wait_for("fox\\.\n.")  # it writes
        terminal.send("/he")
        self.assertEqual(1, terminal.wait_for(">>> /he").count("/he"))
        terminal.send("lp\n")
        terminal.wait_for("/system TEXT")
        terminal.wait_for(">>> ")
        terminal.send(QUESTION + "\n")
        terminal.wait_for("fox\\.\n.")
        terminal.send("\x04")
        self.assertEqual(0, terminal.end())

    def test_leaves_the_terminal_as_it_was(self):
        terminal = Terminal(self.daemon)
        before = termios.tcgetattr(terminal.leader)
        terminal.wait_for(">>> ")
        self.assertNotEqual(before, termios.tcgetattr(terminal.leader))
        terminal.send("\x04")
        terminal.client.wait(20)
        self.assertEqual(before, termios.tcgetattr(terminal.leader))
        self.assertEqual(0, terminal.end())

    def test_ctrl_c_in_a_pipe_ends_the_program(self):
        client = subprocess.Popen([FORGECTL, "chat", "demo"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=self.daemon.environment())
        client.stdin.write(b"/set max_tokens 2\nHello!\n")
        client.stdin.flush()
        client.stdout.readline()
        time.sleep(0.2)
        client.send_signal(signal.SIGINT)
        self.assertEqual(130, client.wait(10))
        for stream in (client.stdin, client.stdout, client.stderr):
            stream.close()


if __name__ == "__main__":
    unittest.main()
