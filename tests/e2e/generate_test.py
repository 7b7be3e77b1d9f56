"""What `forgectl generate` does with prompts, options and output."""

import json
import subprocess
import threading
import time
import unittest

from harness import FORGECTL, Daemon, answer


class GenerateTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon().__enter__()
        cls.daemon.ctl_ok("load", "demo")

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def generate(self, *args, **kwargs):
        return self.daemon.ctl_json("generate", "demo", *args, **kwargs)

    def test_the_same_seed_gives_the_same_text(self):
        args = ("--seed", 7, "--temperature", 1, "--max-tokens", 40, "Tell me a story about a fox.")
        self.assertEqual(answer(self.generate(*args)), answer(self.generate(*args)))

    def test_the_reported_seed_makes_the_answer_again(self):
        args = ("--temperature", 1, "--max-tokens", 40, "Tell me a story about a robot.")
        first = self.generate(*args)
        seed = first[-1]["finished"]["seed"]
        self.assertEqual(answer(first), answer(self.generate("--seed", seed, *args)))

    def test_takes_the_prompt_from_argument_standard_input_or_both(self):
        args = ("--temperature", 0, "--max-tokens", 12)
        whole = answer(self.generate(*args, "Who are\nyou?"))
        self.assertEqual(whole, answer(self.generate(*args, input="Who are\nyou?")))
        self.assertEqual(whole, answer(self.generate(*args, "Who are", "-", input="you?")))
        self.assertEqual(whole, answer(self.generate(*args, "-", "you?", input="Who are")))

    def test_leaves_standard_input_to_others_where_a_prompt_is_given(self):
        loop = f"while read -r line; do '{FORGECTL}' generate demo --max-tokens 1 \"$line\"; done"
        run = subprocess.run(["sh", "-c", loop], input="Hello!\nWho are you?\nBye!\n", text=True,
                             capture_output=True, env=self.daemon.environment(), timeout=60)
        self.assertEqual(("", 3), (run.stderr, run.stdout.count("\n")))

    def test_asks_for_quotes_around_a_prompt_of_several_words(self):
        result = self.daemon.ctl("generate", "demo", "list", "my", "files")
        self.assertEqual(2, result.returncode)
        self.assertIn("quotes", result.stderr)

    def test_counts_tokens_and_stops_at_max_tokens(self):
        events = self.generate("--max-tokens", 5, "--temperature", 0, "--ignore-end", "Hello!")
        self.assertEqual(5, sum("token" in e for e in events))
        finished = events[-1]["finished"]
        self.assertEqual("FINISH_REASON_MAX_TOKENS", finished["reason"])
        self.assertEqual(5, finished["usage"]["outputTokens"])

    def test_never_shows_a_stop_string(self):
        text = answer(self.generate("--temperature", 0, "--max-tokens", 40, "Tell me a story about a fox."))
        stop = text.split()[6]
        events = self.generate("--temperature", 0, "--max-tokens", 40, "--stop", stop,
                               "Tell me a story about a fox.")
        self.assertEqual(text[:text.index(stop)], answer(events))
        self.assertEqual("FINISH_REASON_STOP", events[-1]["finished"]["reason"])

    def test_a_prompt_that_begins_like_another_clients_is_not_computed_again(self):
        story = "Once upon a time there was a fox who lived in a forest. " * 8
        args = ("--raw", "--temperature", 0, "--max-tokens", 8, "--verbose", story)
        first, second = (self.daemon.ctl("generate", "demo", *args) for _ in range(2))
        self.assertEqual(first.stdout, second.stdout)
        self.assertIn(" 0 from the cache", first.stderr)
        self.assertRegex(second.stderr, r" [1-9]\d+ from the cache")

    def test_prefix_cache_off_computes_every_prompt(self):
        story = "Once upon a time there was a fox who lived in a forest. " * 8
        with Daemon(config="prefix_cache: false\n") as daemon:
            for _ in range(2):
                told = daemon.ctl("generate", "demo", "--raw", "--max-tokens", 3, "--verbose", story).stderr
                self.assertIn(" 0 from the cache", told)

    def test_guesses_change_nothing_but_the_time(self):
        # Below 1 the penalty makes the model say again what it said.
        args = ("--raw", "-o", "json", "--ignore-end", "--max-tokens", 300, "--seed", 5,
                "--repetition-penalty", 0.7, "--penalty-window", -1, "Once upon a time")

        def tokens_and_usage(daemon):
            events = [json.loads(line) for line in daemon.ctl("generate", "demo", *args).stdout.splitlines()]
            return [e["token"] for e in events if "token" in e], events[-1]["finished"]["usage"]

        tokens, usage = tokens_and_usage(self.daemon)
        self.assertGreater(usage["acceptedTokens"], 0)
        self.assertGreaterEqual(usage["draftedTokens"], usage["acceptedTokens"])
        self.assertRegex(self.daemon.ctl("generate", "demo", *args[:1], "--verbose", *args[3:]).stderr,
                         r", [1-9]\d* of [1-9]\d* guesses right, queued")
        with Daemon(config="speculative_tokens: 0\n") as daemon:
            plain, plain_usage = tokens_and_usage(daemon)
            self.assertEqual(0, plain_usage["draftedTokens"])
            self.assertEqual(plain, tokens)
            self.assertNotIn("guesses", daemon.ctl("generate", "demo", *args[:1], "--verbose", *args[3:]).stderr)

    def test_a_prompt_larger_than_a_message_is_told(self):
        result = self.daemon.ctl("generate", "demo", input="hello fox " * 500_000)
        self.assertEqual(1, result.returncode)
        self.assertIn("limits.max_message", result.stderr)

    def test_output_that_cannot_be_written_is_a_failure(self):
        for command in (("list",), ("events",), ("generate", "demo", "--max-tokens", 3, "Hello!")):
            with self.subTest(command), open("/dev/full", "w", encoding="utf-8") as full:
                done = subprocess.run([FORGECTL, "--address", self.daemon.address, *map(str, command)],
                                      stdout=full, stderr=subprocess.PIPE, text=True, check=False)
                self.assertEqual(1, done.returncode)
                self.assertIn("cannot write standard output", done.stderr)

    def test_two_clients_stream_at_the_same_time(self):
        times = {}

        def run(name):
            client = self.daemon.start_ctl("generate", "demo", "-o", "json", "--ignore-end",
                                           "--max-tokens", 950, "Tell me a story.")
            stamps = [time.monotonic() for line in client.stdout if "token" in json.loads(line)]
            self.assertEqual(0, client.wait(), client.stderr.read())
            client.stderr.close()
            client.stdout.close()
            times[name] = stamps

        threads = [threading.Thread(target=run, args=(n,)) for n in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([950, 950], [len(times[n]) for n in "ab"])
        # Both were writing at some moment: each began before the other had ended.
        self.assertLess(times["a"][0], times["b"][-1])
        self.assertLess(times["b"][0], times["a"][-1])

    def test_ends_quietly_when_its_output_is_closed(self):
        client = subprocess.run(
            f"'{FORGECTL}' generate demo --ignore-end --max-tokens 2000 hello | head -c 10",
            shell=True, capture_output=True, env=self.daemon.environment(), stdin=subprocess.DEVNULL,
            timeout=60)
        self.assertEqual(b"", client.stderr)

    def test_text_that_is_no_utf8_is_refused_by_name(self):
        for arguments, text in ((["Review:", "-"], b"caf\xe9\n"), ([b"caf\xe9"], b"")):
            result = subprocess.run([FORGECTL, "generate", "demo", *arguments], input=text,
                                    capture_output=True, env=self.daemon.environment())
            self.assertEqual(2, result.returncode)
            self.assertIn(b"invalid UTF-8: byte 3 is 0xe9", result.stderr)

    def test_an_answer_that_was_cut_is_told(self):
        cut = self.daemon.ctl("generate", "demo", "--json-schema", '{"type": "string"}', "--max-tokens", 3,
                              "hi")
        self.assertEqual((1, "forgectl: the answer was cut at --max-tokens 3, before it was whole\n"),
                         (cut.returncode, cut.stderr))
        self.assertEqual("", self.daemon.ctl("generate", "demo", "--max-tokens", 3, "hi").stderr)
        full = self.daemon.ctl("generate", "demo", "--ignore-end", "hi")
        self.assertEqual((0, "forgectl: the answer was cut: the context is full\n"),
                         (full.returncode, full.stderr))

    def test_empty_and_contradicting_flags_are_refused(self):
        for flags in (["--json-schema", ""], ["--grammar", ""], ["--token-ids", ""], ["--seed", "-1"],
                      ["--raw", "--no-think"], ["--raw", "--system", "x"], ["--grammar", "/tmp"]):
            with self.subTest(flags):
                self.assertEqual(2, self.daemon.ctl("generate", "demo", "hi", *flags).returncode)

    def test_names_the_field_of_a_bad_option(self):
        for args, word in ((("--temperature", "-1"), "temperature"), (("--top-p", "0"), "top_p"),
                           (("--token-ids", "99999999"), "99999999"), (("--min-p", "nan"), "min_p")):
            with self.subTest(args):
                prompt = () if args[0] == "--token-ids" else ("hi",)
                result = self.daemon.ctl("generate", "demo", *args, *prompt)
                self.assertEqual(2, result.returncode)
                self.assertIn(word, result.stderr)
                self.assertEqual(1, result.stderr.count("\n"))

    def test_refuses_a_prompt_longer_than_the_context(self):
        result = self.daemon.ctl("generate", "demo", "--raw", "-", input="word " * 20000)
        self.assertEqual(2, result.returncode)
        self.assertIn("context", result.stderr)

    def test_names_the_way_to_load_a_model_that_is_not_resident(self):
        result = self.daemon.ctl("generate", "nothere", "hi")
        self.assertEqual(3, result.returncode)
        self.assertIn("nothere", result.stderr)


if __name__ == "__main__":
    unittest.main()
