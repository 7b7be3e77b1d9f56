#!/usr/bin/env python3
"""Runs forge-bench itself: its JSON, and the verdict of a comparison with a stand-in for llama-bench.

Usage: bench_program_test.py FORGE_BENCH MODEL
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

PEER = """#!/usr/bin/env python3
import json, sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert options["-m"].endswith(".gguf"), sys.argv
tests = [(int(p), 0) for p in options["-p"].split(",") if p != "0"]
tests += [(0, int(n)) for n in options["-n"].split(",") if n != "0"]
print(json.dumps([{"n_prompt": p, "n_gen": n, "n_depth": int(options.get("-d", 0)), "avg_ts": SPEED,
                   "n_threads": int(options["-t"]), "build_number": 1, "build_commit": "stand-in"}
                  for p, n in tests]))
"""


BATCHED_PEER = """#!/usr/bin/env python3
import json, sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
for streams in options["-npl"].split(","):
    speed = 1e-3 if options["-fa"] == "on" else 2e-3
    print(json.dumps({"pp": int(options["-npp"]), "tg": int(options["-ntg"]), "pl": int(streams),
                      "speed_tg": speed, "n_threads": int(options["-t"])}))
"""


def run(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=200)


def check(condition, message, result):
    if not condition:
        sys.exit(f"{message}\nexit code {result.returncode}\n{result.stdout}\n{result.stderr}")


def main():
    bench, model = sys.argv[1:]
    result = run(bench, "-m", model, "-p", "16", "-n", "8", "-r", "2", "-t", "1", "-o", "json")
    check(result.returncode == 0, "a measurement failed", result)
    tests = json.loads(result.stdout)
    check([(t["n_prompt"], t["n_gen"]) for t in tests] == [(16, 0), (0, 8)], "wrong tests", result)
    check(all(t["avg_ts"] > 0 and len(t["samples_ts"]) == 2 for t in tests), "no speeds", result)

    with tempfile.TemporaryDirectory() as folder:
        peer = Path(folder) / "peer.py"
        for speed, floor, code, verdict in ((1e-3, "1.0", 0, "ok"), (1e12, "tg8=1.0", 3, "below"),
                                            (1e12, "pp16=1e-12,tg8=1e-12", 0, "ok")):
            peer.write_text(PEER.replace("SPEED", str(speed)))
            result = run(bench, "compare", "--peer", f"{sys.executable} {peer}", "-m", model, "-p", "16",
                         "-n", "8", "--rounds", "2", "-t", "1", "--peer-options", "", "--floor", floor)
            check(result.returncode == code, f"exit code is not {code}", result)
            check(verdict in result.stdout and "stand-in" in result.stdout, "no verdict", result)

        batched_peer = Path(folder) / "batched_peer.py"
        batched_peer.write_text(BATCHED_PEER)
        result = run(bench, "compare", "--batched-peer", f"{sys.executable} {batched_peer}", "-m", model,
                     "-p", "0", "-n", "0", "--streams", "2,3", "--rounds", "2", "-t", "1")
        check(result.returncode == 0, "streams were not compared", result)
        rows = [line for line in result.stdout.splitlines() if "tg24 @ d32 x" in line]
        check(len(rows) == 2 and "x 3" in rows[1] and "0.0" in rows[1], "no rows of streams", result)

        peer.write_text(PEER.replace("SPEED", "1e-3") + 'assert options["-t"] == "1", "other threads than asked for"\n')
        result = run(bench, "table", "--formats", "--only", "TQ2_0 pp64", "-t", "1", "--rounds", "2", "--peer",
                     f"{sys.executable} {peer}", "--peer-options", "", "--dir", folder)
        check(result.returncode == 0 and "TQ2_0 pp64, 1 thread " in result.stdout, "no table of a format", result)

    compare = ["compare", "-m", model, "-p", "0", "-n", "0"]
    for arguments, expected in ((compare + ["--streams", "2"], "--batched-peer"),
                                (compare[:-1] + ["8"], "--peer"),
                                (["table", "-t", "3", "--peer", "peer", "--dir", "."], "--formats"),
                                (["-m", "/no/such.gguf"], "/no/such.gguf"), ([], "-m FILE"),
                                (["-m", model, "-p", "x"], "-p")):
        result = run(bench, *arguments)
        check(result.returncode != 0 and expected in result.stderr + result.stdout,
              f"{arguments} was not refused", result)


if __name__ == "__main__":
    main()
