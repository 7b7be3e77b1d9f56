#!/usr/bin/env python3
"""Writes what llama-server makes of each model of a folder: NAME.json beside this script.

    build/release/tests/conformance/write_llama_cpp_models /tmp/models
    tests/conformance/llama_cpp/record.py /tmp/models llama-server

Prompts of token ids, then a few greedy tokens, each asked for anew, with the log-probabilities of the
likeliest; of encoders, the hidden states of the first and the last token, and the mean of all. Weights,
cache and arithmetic are float32.
"""

import json
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

PORT = 18437
N_STEPS, N_TOP = 3, 12
# One token, a few, and more than a window of 8 or an original context of 64 holds.
PROMPTS = [[28], [(11 + 37 * i) % 300 for i in range(7)], [(5 + 101 * i + i * i % 29) % 300 for i in range(90)]]
ENCODERS = ("bert", "nomic-bert")
OPTIONS = ["-c", "512", "-np", "1", "-t", "1", "-ctk", "f32", "-ctv", "f32", "-fa", "off", "--no-warmup"]


def ask(path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def wait_until_loaded(server):
    while server.poll() is None:
        try:
            return ask("/health")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise SystemExit("the server ended")


def next_token(tokens):
    # The bias changes what is chosen and not what is listed; nothing is listed for half a character or an end.
    reply = ask("/completion", {"prompt": tokens, "n_predict": 1, "n_probs": N_TOP, "temperature": 0,
                                "post_sampling_probs": False, "cache_prompt": False,
                                "logit_bias": [[ord("a"), 1000]]})
    top = reply["completion_probabilities"][0]["top_logprobs"]
    return [[entry["id"], round(entry["logprob"], 6)] for entry in top]


def record(prompt):
    steps = []
    for _ in range(N_STEPS):
        top = next_token(prompt + [step["token"] for step in steps])
        steps.append({"token": top[0][0], "top": top})
    return {"prompt": prompt, "steps": steps}


def record_encoder(prompt):
    rows = ask("/embedding", {"content": prompt, "embd_normalize": -1})[0]["embedding"]
    assert len(rows) == len(prompt)
    mean = [sum(column) / len(rows) for column in zip(*rows)]
    rounded = [[round(value, 6) for value in row] for row in (rows[0], rows[-1], mean)]
    return {"prompt": prompt, "first": rounded[0], "last": rounded[1], "mean": rounded[2]}


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def main():
    folder, command = pathlib.Path(sys.argv[1]), sys.argv[2:]
    for model in sorted(folder.glob("*.gguf")):
        log = open("/dev/null", "w")
        is_encoder = model.stem in ENCODERS
        options = OPTIONS + (["--embedding", "--pooling", "none"] if is_encoder else [])
        server = subprocess.Popen(command + ["-m", str(model), "--port", str(PORT)] + options, stdout=log, stderr=log)
        try:
            wait_until_loaded(server)
            version = ask("/props")["build_info"]
            cases = [(record_encoder if is_encoder else record)(prompt) for prompt in PROMPTS]
        finally:
            server.terminate()
            server.wait()
        reference = {"made_by": f"llama-server {version}", "model_fnv1a": f"{fnv1a(model.read_bytes()):016x}",
                     "cases": cases}
        text = json.dumps(reference, separators=(",", ":")) + "\n"
        (pathlib.Path(__file__).parent / f"{model.stem}.json").write_text(text)
        print(model.stem)


main()
