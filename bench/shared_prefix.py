#!/usr/bin/env python3
"""Times the first token of prompts that begin alike, with forged and, if asked, llama-server.

Three cases, each with a beginning that neither server has seen:
  cold    one client
  warm    another client with the same beginning, after the first one has gone
  at once several clients with one beginning; the time until the last of them has its first token

    bench/shared_prefix.py --forgectl build/release/bin/forgectl --model NAME [--peer http://127.0.0.1:8080]

forged is found as by forgectl (FORGE_ADDRESS). Load the model with a context that holds the prompts
(forgectl load NAME --context 4096 --parallel 4), and start the peer with the same slots, each with
that context: llama-server -m FILE -t 2 -np 4 -c 16384.
"""

import argparse
import json
import random
import statistics
import subprocess
import threading
import time
import urllib.request


def words(rng, n):
    return " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(n))


def ask_forge(args, prompt):
    """Tokens of the prompt. Returns when the first token has come: it is the only one."""
    command = [args.forgectl, "-o", "json", "generate", args.model, "--raw", "--max-tokens", "1"]
    done = subprocess.run(command, input=prompt, capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return events[-1]["finished"]["usage"]["promptTokens"]


def ask_llama(args, prompt):
    body = json.dumps({"prompt": prompt, "n_predict": 1, "cache_prompt": True}).encode()
    request = urllib.request.Request(args.peer + "/completion", body,
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        result = json.load(answer)
    return result["tokens_evaluated"]


def seconds_of(ask, args, prompts):
    """From the start to the last first token, all prompts at once; and the tokens of one prompt."""
    sizes = []
    threads = [threading.Thread(target=lambda p=p: sizes.append(ask(args, p))) for p in prompts]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(sizes) != len(prompts):
        raise SystemExit("a server did not answer")
    return time.monotonic() - start, max(sizes)


def measure(ask, args, rng):
    def prompt(beginning):
        return beginning + " " + words(rng, 3)

    beginning = words(rng, args.words)
    cold, n_tokens = seconds_of(ask, args, [prompt(beginning)])
    warm, _ = seconds_of(ask, args, [prompt(beginning)])
    another = words(rng, args.words)
    at_once, _ = seconds_of(ask, args, [prompt(another) for _ in range(args.clients)])
    return {"cold": cold, "warm": warm, "at once": at_once}, n_tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forgectl", default="forgectl")
    parser.add_argument("--model", required=True)
    parser.add_argument("--peer", help="address of a llama-server")
    parser.add_argument("--words", type=int, default=400, help="of the beginning")
    parser.add_argument("--clients", type=int, default=4, help="at once")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    servers = {"forged": ask_forge} | ({"llama-server": ask_llama} if args.peer else {})
    times = {server: [] for server in servers}
    n_tokens = 0
    rng = random.Random()
    for _ in range(args.rounds):
        for server, ask in servers.items():  # in turns, so that both meet the same machine
            result, n_tokens = measure(ask, args, rng)
            times[server].append(result)
    print(f"prompts of about {n_tokens} tokens, {args.clients} clients at once, median of "
          f"{args.rounds} rounds, seconds to the (last) first token")
    for case in ("cold", "warm", "at once"):
        medians = {server: statistics.median(r[case] for r in rounds)
                   for server, rounds in times.items()}
        shown = ", ".join(f"{server} {seconds:.3f}" for server, seconds in medians.items())
        ratio = f", ratio {medians['llama-server'] / medians['forged']:.2f}" if args.peer else ""
        print(f"{case:8} {shown}{ratio}")


if __name__ == "__main__":
    main()
