#!/usr/bin/env python3
"""Checks the structure that docs/architecture.md promises.

 - An #include follows the direction of dependencies.
 - No source file is longer than 500 lines.
 - Every file that a README or a page of docs/ names in backquotes exists.

Usage: check_layering.py REPOSITORY_ROOT; prints every violation and exits with 1 if there is one.
"""

import re
import sys
from pathlib import Path

# Folder -> folders (or single files) its files may include, besides itself.
ALLOWED = {
    "kernels/base": [],
    "kernels/formats": ["kernels/base"],
    "kernels/api": ["kernels/base", "kernels/formats"],
    "kernels/reference": ["kernels/base", "kernels/formats", "kernels/api"],
    "kernels/cpu": ["kernels/base", "kernels/formats", "kernels/api"],
    "kernels/hip": ["kernels/base", "kernels/formats", "kernels/api", "kernels/cpu/host_memory.h",
                    "tests/hip_emulator/hip_runtime.h"],
    "engine/memory": ["kernels/base", "kernels/api"],
    "engine/gguf": ["kernels/base", "kernels/formats"],
    "engine/text": ["kernels/base", "engine/gguf"],
    "engine/text/jinja": ["kernels/base", "engine/gguf/gguf_fault.h", "engine/text/characters.h",
                          "engine/text/utf8.h"],
    "engine/grammar": ["kernels/base", "engine/text"],
    "engine/arch": ["kernels/base", "kernels/formats", "engine/gguf"],
    "engine/model": ["kernels/base", "kernels/formats", "kernels/api", "engine/memory",
                     "engine/gguf", "engine/text", "engine/arch", "kernels/cpu/host_memory.h"],
    "engine/runtime": ["kernels/base", "kernels/formats", "kernels/api", "engine/memory",
                       "engine/gguf", "engine/text", "engine/arch", "engine/model",
                       "engine/grammar"],
    "daemon/text": ["kernels/base"],
    "daemon/config": ["kernels/base", "engine/runtime/engine.h"],
    "daemon/residency": ["kernels/base", "engine/runtime/engine.h", "engine/gguf/shard_name.h",
                         "daemon/config", "daemon/text"],
    "daemon/telemetry": ["kernels/base", "engine/runtime/engine.h", "daemon/config",
                         "daemon/residency", "daemon/text"],
    "daemon/rpc": ["kernels/base", "engine/runtime/engine.h", "daemon/config", "daemon/residency",
                   "daemon/telemetry", "daemon/text", "proto"],
    "daemon/app": ["kernels/base", "kernels/cpu/cpu_device.h", "kernels/hip/plugin.h",
                   "engine/runtime/engine.h", "daemon/config", "daemon/residency", "daemon/rpc", "daemon/telemetry"],
    "client": ["proto"],
    "gateway": ["kernels/base", "proto", "client/connection.h", "client/error_details.h", "client/failure.h"],
    "gateway/http": ["kernels/base", "gateway/api_error.h", "gateway/listen_address.h"],
    "gateway/translate": ["kernels/base", "proto", "gateway/api_error.h", "gateway/json_fields.h"],
    "tools/synth": ["kernels/base", "kernels/formats"],
}
LAYER_ROOTS = ("kernels/", "engine/", "daemon/", "client/", "gateway/")  # every folder has a rule
PROJECT_ROOTS = (*LAYER_ROOTS, "tests/", "bench/", "tools/")
GENERATED = ("forge/v1/", "google/rpc/")
MAX_LINES = 500
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
QUOTED_FILE = re.compile(r"`([A-Za-z0-9_./-]+/[A-Za-z0-9_.-]+\.(?:h|cpp|proto|py|yaml|md|service|txt))`")


def folder_of(path):
    """The rule that a file falls under: its longest matching folder."""
    matches = [folder for folder in ALLOWED if path.startswith(folder + "/")]
    return max(matches, key=len, default=None)


def include_violations(root, path):
    folder = folder_of(path)
    if folder is None:
        if path.startswith(LAYER_ROOTS):
            yield f"{path}: is in no folder that tests/layering knows"
        return
    for number, line in enumerate((root / path).read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        included = match.group(1)
        if included.startswith(GENERATED):
            target = "proto/" + included
        elif included.startswith(PROJECT_ROOTS):
            target = included
        else:
            continue
        if target.startswith(folder + "/"):
            continue
        if not any(target == a or target.startswith(a + "/") for a in ALLOWED[folder]):
            yield f"{path}:{number}: {folder} must not include {included}"


def violations(root):
    sources = [p.relative_to(root).as_posix() for top in ("kernels", "engine", "daemon", "client",
                                                          "gateway", "tests", "bench", "tools")
               for p in sorted((root / top).rglob("*")) if p.suffix in (".h", ".cpp", ".hip")]
    for path in sources:
        yield from include_violations(root, path)
        lines = len((root / path).read_text().splitlines())
        if lines > MAX_LINES:
            yield f"{path}: {lines} lines, at most {MAX_LINES}"
    pages = [p for p in [*root.glob("*.md"), *root.glob("docs/*.md"), *root.glob("*/README.md"),
                         *root.glob("*/*/README.md")] if "build" not in p.parts]
    for page in pages:
        for name in QUOTED_FILE.findall(page.read_text()):
            if name.startswith(("/", "..")):
                continue
            if not (root / name).exists() and not (page.parent / name).exists():
                yield f"{page.relative_to(root)}: names {name}, which does not exist"


def main():
    found = list(violations(Path(sys.argv[1]).resolve()))
    for violation in found:
        print(violation)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
