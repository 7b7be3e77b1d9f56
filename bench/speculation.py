#!/usr/bin/env python3
"""Times answers that repeat themselves more or less, with guessing and without it.

A negative penalty (below 1) makes any model say what it said before, so that a file of random weights
has answers of which guesses come true as often as in real work; how often, the last column tells.

    bench/speculation.py --forgectl build/release/bin/forgectl --model NAME \\
        --with unix:///run/a.sock --without unix:///run/b.sock [--peer http://127.0.0.1:8080 ...]

The first two are daemons with `speculative_tokens: 7` and `0`; load the model in both. Peers are
llama-servers: llama-server -m FILE -t 2 -np 1 -c 4096 [--spec-type ngram-simple]. All are asked in
turns, so that they meet the same machine; nothing else should run.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import urllib.request

# Name, temperature, repetition penalty, whether the answer is a form.
CASES = (("goes in circles", 0, 0.8, False), ("repeats much", 0, 0.95, False),
         ("repeats some", 0, 1.0, False), ("repeats nothing", 1, 1.0, False),
         ("fills in a form", 0, 1.0, True))

# The form has each property once, so that nothing can be looked up. Random weights know nothing of
# JSON; a bias for the tokens of an example makes them cut it as its tokenizer does, as a model of real
# weights would, and end their strings.
FORM = {"invoice_number": {"type": "integer"}, "date_of_issue": {"type": "string", "format": "date"},
        "customer_name": {"type": "string", "maxLength": 16},
        "delivery_address": {"type": "string", "maxLength": 16}, "is_paid_in_full": {"type": "boolean"},
        "currency": {"enum": ["EUR", "USD"]}, "payment_method": {"enum": ["transfer", "card"]},
        "total_amount_net": {"type": "integer"}, "total_amount_gross": {"type": "integer"},
        "remarks": {"type": "string", "maxLength": 16}}
SCHEMA = {"type": "object", "properties": FORM, "required": list(FORM)}
BIAS = 30
EXAMPLE = json.dumps({name: {"integer": 12, "boolean": True}.get(kind.get("type"), "EUR")
                      for name, kind in FORM.items()})


def example_tokens(args, address):
    done = subprocess.run([args.forgectl, "--address", address, "tokenize", args.model, EXAMPLE,
                           "--ids"], capture_output=True, text=True, check=True)
    return sorted({int(token) for token in done.stdout.split(",")})


def ask_forge(args, address, prompt, temperature, penalty, bias):
    """Tokens a second after the first one, and usage. `bias`: the tokens of a form, or none."""
    command = [args.forgectl, "--address", address, "-o", "json", "generate", args.model, prompt,
               "--raw", "--ignore-end", "--max-tokens", str(args.tokens), "--seed", "1",
               "--temperature", str(temperature), "--repetition-penalty", str(penalty),
               "--penalty-window", "-1", "--top-k", "0", "--top-p", "1", "--min-p", "0"]
    if bias:
        command += ["--json-schema", json.dumps(SCHEMA)]
        command += [f"--logit-bias={token}={BIAS}" for token in bias]
    done = subprocess.run(command, capture_output=True, text=True, check=True,
                          stdin=subprocess.DEVNULL)
    usage = json.loads(done.stdout.splitlines()[-1])["finished"]["usage"]
    seconds = float(usage["decodeDuration"].rstrip("s"))
    return (usage["outputTokens"] - 1) / seconds, usage


def ask_llama(args, url, prompt, temperature, penalty, bias):
    body = {"prompt": prompt, "n_predict": args.tokens, "ignore_eos": True, "cache_prompt": False,
            "temperature": temperature, "repeat_penalty": penalty, "repeat_last_n": 65536, "seed": 1,
            "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    if bias:
        body["json_schema"] = SCHEMA
        body["logit_bias"] = [[token, BIAS] for token in bias]
    request = urllib.request.Request(url + "/completion", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["timings"]["predicted_per_second"], None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forgectl", default="forgectl")
    parser.add_argument("--model", required=True)
    parser.add_argument("--with", dest="guessing", required=True, help="address of a forged")
    parser.add_argument("--without", dest="plain", required=True, help="address of another")
    parser.add_argument("--peer", action="append", default=[], help="address of a llama-server")
    parser.add_argument("--tokens", type=int, default=192, help="of each answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", help="only those with this in their name")
    args = parser.parse_args()

    servers = [(ask_forge, args.plain), (ask_forge, args.guessing)]
    servers += [(ask_llama, url) for url in args.peer]
    prompt = "Once upon a time there was a little dog and a cat, and they were friends"
    print("tokens/s, geometric means; ratios are of one round, with their smallest and largest")
    tokens_of_form = example_tokens(args, args.guessing)
    for name, temperature, penalty, is_form in CASES:
        if args.case and args.case not in name:
            continue
        speeds = [[] for _ in servers]
        for _ in range(args.rounds):
            for (ask, address), results in zip(servers, speeds):
                speed, usage = ask(args, address, prompt, temperature, penalty,
                                   tokens_of_form if is_form else [])
                results.append(speed)
                if address == args.guessing:
                    right = f"{usage.get('acceptedTokens', 0)} of {usage.get('draftedTokens', 0)}"
        means = [math.exp(statistics.fmean(map(math.log, results))) for results in speeds]
        ratios = [a / b for a, b in zip(speeds[1], speeds[0])]
        peers = "".join(f", {os.path.basename(url)} {mean:.1f}"
                        for url, mean in zip(args.peer, means[2:]))
        print(f"{name:15} without {means[0]:.1f}, with {means[1]:.1f}{peers}: "
              f"{means[1] / means[0]:.2f} ({min(ratios):.2f} to {max(ratios):.2f}), "
              f"{right} guesses right")


if __name__ == "__main__":
    main()
