#!/usr/bin/env python3
"""Writes what llama.cpp makes of random texts with each tokenizer: ids.json beside this script.

    ninja -C build/release write_mixtures
    tests/engine/text/llama_cpp/record.py build/release/tests/engine/text/write_mixtures FOLDER llama-tokenize

FOLDER is scratch space. Every word after it is the command that runs llama-tokenize, which sees the
folder under the name that FORGE_FOLDER_INSIDE gives, if it is another. More texts and another seed:
FORGE_TEXTS, FORGE_PARTS, FORGE_SEED.
"""

import json
import os
import pathlib
import subprocess
import sys

SEPARATOR = "<|endoftext|>"
NAMES = """
    default gpt-2 phi-2 mpt olmo jais gigachat a.x-4.0 exaone4 trillion granite-docling mellum smollm starcoder refact
    command-r codeshell exaone minerva-7b mellum2 qwen2 deepseek-r1-qwen qwen35 stablelm2 hunyuan megrez kormo grok-2
    solar-open bailingmoe bailingmoe2 llada-moe seed-coder llama-bpe llama-v3 llama3 falcon3 pixtral falcon-h1 midm-2.0
    lfm2 glm4 minicpm5 smaug-bpe dbrx chatglm-bpe tekken gpt-4o llama4 kanana2 minimax-m2 kimi-k2 tiny_aya youtu
    deepseek-llm deepseek-coder deepseek-v3 hunyuan-dense joyai-llm falcon bloom poro-chat gpt3-finnish viking superbpe
    gemma4 sentencepiece sentencepiece-unspaced wordpiece wordpiece-accented wordpiece-cased
""".split()


def ids_of(command, folder, name):
    reply = subprocess.run(
        [*command, "-m", f"{folder}/{name}.gguf", "-f", f"{folder}/texts.txt", "--ids", "--no-escape", "--no-bos",
         "--log-disable"], check=True, capture_output=True, text=True)
    ids = json.loads(reply.stdout)
    separator = max(ids)  # the last token of the vocabulary
    texts = [[]]
    for token in ids:
        if token == separator:
            texts.append([])
        else:
            texts[-1].append(token)
    return texts


def main():
    writer, folder, *command = sys.argv[1:]
    inside = os.environ.get("FORGE_FOLDER_INSIDE", folder)
    sizes = [os.environ.get("FORGE_SEED", "11"), os.environ.get("FORGE_TEXTS", "160"), os.environ.get("FORGE_PARTS", "16")]
    subprocess.run([writer, folder, *sizes, *NAMES], check=True)
    with open(pathlib.Path(folder) / "texts.txt", encoding="utf-8", newline="") as file:
        texts = file.read().split(SEPARATOR)
    answers = []
    for name in NAMES:
        ids = ids_of(command, inside, name)
        assert len(ids) == len(texts), name
        same = next((answer for answer in answers if answer["ids"] == ids), None)
        if same:
            same["names"].append(name)
        else:
            answers.append({"names": [name], "ids": ids})
    target = pathlib.Path(os.environ.get("FORGE_IDS", pathlib.Path(__file__).parent / "ids.json"))
    target.write_text(json.dumps({"texts": texts, "answers": answers}, separators=(",", ":")).replace(
        '{"names"', '\n{"names"') + "\n")


if __name__ == "__main__":
    main()
