#!/usr/bin/env python3
"""Guards the CPU's hot kernels: none may take over 5 % more instructions than it is known to take.

Usage: instruction_counts_test.py HOT_KERNELS COUNTS.json [--update]

Instructions are counted by callgrind, so they do not depend on what else the machine does, but they do on
the compiler: the counts are those of Debian 12's g++. valgrind has no AVX-512, so the levels are `avx2` and
`portable`. After a change that was meant, write the counts anew with --update and say why in the commit.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LEVELS = ("avx2", "portable")
TOLERANCE = 1.05
SKIPPED = 77  # ctest's SKIP_RETURN_CODE


def count(program, level):
    """Instructions by case, of one run of the program."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no",
                   f"--callgrind-out-file={folder}/out", program]
        run = subprocess.run(command, capture_output=True, text=True, timeout=900,
                             env={**os.environ, "FORGE_CPU_LEVEL": level})
        if run.returncode != 0:
            sys.exit(f"{' '.join(command)} gave {run.returncode}:\n{run.stderr}")
        counts = {}
        for path in Path(folder).iterdir():
            text = path.read_text()
            case = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
            total = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
            if case and total:
                counts[f"{level} {case[1]}"] = int(total[1])
        return counts


def main():
    program, path = sys.argv[1], Path(sys.argv[2])
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: skipped")
        return SKIPPED
    counts = {}
    for level in LEVELS:
        counts.update(count(program, level))
    if "--update" in sys.argv:
        path.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n")
        return 0
    known = json.loads(path.read_text())
    faults = [f"{case}: no known count" for case in sorted(counts.keys() - known.keys())]
    faults += [f"{case}: did not run" for case in sorted(known.keys() - counts.keys())]
    faults += [f"{case}: {counts[case]} instructions, {known[case]} are known ({counts[case] / known[case]:.2f})"
               for case in sorted(known.keys() & counts.keys()) if counts[case] > TOLERANCE * known[case]]
    fewer = [f"{case}: {counts[case] / known[case]:.2f}" for case in sorted(known.keys() & counts.keys())
             if TOLERANCE * counts[case] < known[case]]
    if fewer:
        print("fewer than known; --update makes them the measure:", *fewer, sep="\n  ")
    print(f"{len(counts)} kernels counted, {len(faults)} at fault", *faults, sep="\n  ")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
