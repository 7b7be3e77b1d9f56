#!/usr/bin/python3
"""Runs the demo model in float64 numpy, straight from its GGUF file, as the reference for the engine.

check.py MODEL.gguf                        prints greedy answers to the prompts below
check.py MODEL.gguf "A prompt" ...         prints greedy answers to the given prompts, as turns of one conversation
check.py --write MODEL.gguf DEMO.json      writes the reference cases
check.py --verify MODEL.gguf DEMO.json     exit code 0 if the file is sound and reproduces the cases, else 1
"""

import argparse
import json
import sys

import numpy as np

import bpe
import corpus
from gguf_reader import GgufFile

CONVERSATIONS = [
    ["Tell me a story about a fox."],
    ["Who are you?"],
    ["What is Forge?"],
    ["Write a short story about a robot and a cat."],
    ["Why should I keep models in memory?"],
    ["Hello!", "Tell me a story about an owl.", "Thank you!"],
    ["Give me three tips for a good morning."],
    ["What can you do?"],
    ["Describe the sea."],
    ["Tell me a story about a dragon.", "Tell me another one."],
    ["write a poem about the moon"],
]
MAX_TOKENS = 320
N_STEPS, N_TOP = 8, 8
LOG_PROBABILITY_TOLERANCE = 2e-6  # The reference is rounded to six decimals.


class Network:
    """The forward pass of the qwen2 architecture for one sequence, token after token, with all maths in float64."""

    def __init__(self, gguf):
        meta = gguf.metadata
        self.n_layers = meta["qwen2.block_count"]
        self.n_heads, self.n_kv = meta["qwen2.attention.head_count"], meta["qwen2.attention.head_count_kv"]
        self.head_dim = meta["qwen2.embedding_length"] // self.n_heads
        self.eps, self.base = meta["qwen2.attention.layer_norm_rms_epsilon"], meta["qwen2.rope.freq_base"]
        self.weights = gguf.tensors
        self.keys = [[] for _ in range(self.n_layers)]
        self.values = [[] for _ in range(self.n_layers)]

    def _norm(self, x, name):
        return x / np.sqrt(np.mean(x * x) + self.eps) * self.weights[name]

    def _rotate(self, heads, position):
        half = self.head_dim // 2
        angles = position * self.base ** (-np.arange(half) * 2.0 / self.head_dim)
        first, second = heads[:, :half], heads[:, half:]
        return np.concatenate(
            (first * np.cos(angles) - second * np.sin(angles), second * np.cos(angles) + first * np.sin(angles)), 1
        )

    def _attention(self, x, index):
        w, prefix = self.weights, f"blk.{index}.attn_"
        q, k, v = ((w[f"{prefix}{n}.weight"] @ x + w[f"{prefix}{n}.bias"]).reshape(-1, self.head_dim) for n in "qkv")
        position = len(self.keys[index])
        self.keys[index].append(self._rotate(k, position))
        self.values[index].append(v)
        keys, values = np.stack(self.keys[index], 1), np.stack(self.values[index], 1)  # [n_kv, n_tokens, head_dim]
        out = []
        for head, query in enumerate(self._rotate(q, position)):
            group = head * self.n_kv // self.n_heads
            scores = keys[group] @ query / np.sqrt(self.head_dim)
            weights = np.exp(scores - scores.max())
            out.append(weights / weights.sum() @ values[group])
        return w[prefix + "output.weight"] @ np.concatenate(out)

    def step(self, token):
        """Appends a token and returns the log-probabilities of the next one."""
        w = self.weights
        x = w["token_embd.weight"][token].copy()
        for index in range(self.n_layers):
            prefix = f"blk.{index}."
            x += self._attention(self._norm(x, prefix + "attn_norm.weight"), index)
            h = self._norm(x, prefix + "ffn_norm.weight")
            gate = w[prefix + "ffn_gate.weight"] @ h
            x += w[prefix + "ffn_down.weight"] @ (gate / (1 + np.exp(-gate)) * (w[prefix + "ffn_up.weight"] @ h))
        logits = w["token_embd.weight"] @ self._norm(x, "output_norm.weight")
        logits -= logits.max()
        return logits - np.log(np.exp(logits).sum())


class Chat:
    """Answers conversations greedily."""

    def __init__(self, gguf):
        self.gguf = gguf
        self.tokenizer = bpe.Tokenizer.from_metadata(gguf.metadata)
        self.eos = gguf.metadata["tokenizer.ggml.eos_token_id"]

    def case(self, messages):
        """Returns the reference case of one answer, in the shape of the project's conformance files."""
        prompt = self.tokenizer.encode(corpus.render_chatml(messages, add_generation_prompt=True))
        network = Network(self.gguf)
        for token in prompt:
            log_probabilities = network.step(token)
        steps, tokens, margin = [], [], np.inf
        while len(tokens) < MAX_TOKENS:
            order = np.argsort(-log_probabilities, kind="stable")
            token = int(order[0])
            margin = min(margin, log_probabilities[order[0]] - log_probabilities[order[1]])
            if len(steps) < N_STEPS:
                steps.append(
                    {"token": token, "top": [[int(i), round(float(log_probabilities[i]), 6)] for i in order[:N_TOP]]}
                )
            if token == self.eos:
                break
            tokens.append(token)
            log_probabilities = network.step(token)
        return {
            "messages": [{"role": role, "content": content} for role, content in messages],
            "prompt": prompt,
            "steps": steps,
            "tokens": tokens,
            "stopped": len(tokens) < MAX_TOKENS,
            "min_margin": round(float(margin), 6),
            "text": self.tokenizer.decode(tokens),
        }

    def conversation(self, questions):
        """Yields the case of each answer in turn."""
        messages = []
        for question in questions:
            messages.append(("user", question))
            case = self.case(messages)
            yield case
            messages.append(("assistant", case["text"]))


def _differences(made, kept, path):
    """Yields what differs between the computed and the stored reference."""
    if isinstance(made, dict):
        for key in made.keys() | kept.keys():
            if key not in made or key not in kept:
                yield f"{path}.{key}: only on one side"
            else:
                yield from _differences(made[key], kept[key], f"{path}.{key}")
    elif isinstance(made, list):
        if len(made) != len(kept):
            yield f"{path}: {len(made)} elements, {len(kept)} in the file"
        for index, pair in enumerate(zip(made, kept)):
            yield from _differences(*pair, f"{path}[{index}]")
    elif isinstance(made, float):
        if abs(made - kept) > LOG_PROBABILITY_TOLERANCE:
            yield f"{path}: {made}, {kept} in the file"
    elif made != kept:
        yield f"{path}: {made!r}, {kept!r} in the file"


def form_errors(gguf):
    """Yields what is wrong with the file itself."""
    meta = gguf.metadata
    n_vocab = len(meta["tokenizer.ggml.tokens"])
    if meta["general.architecture"] != "qwen2":
        yield f"general.architecture is {meta['general.architecture']}"
    if "qwen2.rope.dimension_count" in meta:
        yield "qwen2.rope.dimension_count is there, but the file shall show that it may be missing"
    if "output.weight" in gguf.tensors:
        yield "output.weight is there, but the output shall be tied to the embedding"
    if gguf.tensors["token_embd.weight"].shape != (n_vocab, meta["qwen2.embedding_length"]):
        yield (
            f"token_embd.weight has the shape {gguf.tensors['token_embd.weight'].shape}, the vocabulary"
            f" {n_vocab} tokens"
        )
    for name, tensor in gguf.tensors.items():
        if not np.isfinite(tensor).all():
            yield f"{name} holds values that are not finite"
        if gguf.types[name] != (8 if tensor.ndim == 2 else 0):
            yield f"{name}: type {gguf.types[name]} for {tensor.ndim} dimensions"
    tokenizer = Chat(gguf).tokenizer
    for text in ("Hello, world! It's 2024.\n\n  A\tb", "na\u00efve \u2014 \u732b \U0001f98a \u00a0 \u0663"):
        if tokenizer.decode(tokenizer.encode(text)) != text:
            yield f"encoding and decoding changes {text!r}"


def reference(chat, name):
    return {"model": name, "cases": [case for questions in CONVERSATIONS for case in chat.conversation(questions)]}


def verify(gguf, kept):
    problems = list(form_errors(gguf))
    problems += list(_differences(reference(Chat(gguf), kept["model"]), kept, "reference"))
    for problem in problems[:20]:
        print(problem)
    print(f"{len(problems)} problems" if problems else f"{len(kept['cases'])} cases agree")
    return 1 if problems else 0


def write_reference(path, data):
    """One case per line, so that a changed case is one changed line."""
    with open(path, "w", encoding="utf-8") as file:
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in data["cases"])
        file.write(f'{{"model":{json.dumps(data["model"])},"cases":[\n{lines}\n]}}\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--verify", action="store_true")
    action.add_argument("--write", action="store_true")
    parser.add_argument("model")
    parser.add_argument("rest", nargs="*")
    arguments = parser.parse_args()
    if (arguments.verify or arguments.write) and len(arguments.rest) != 1:
        parser.error("--verify and --write take the model and the reference file")
    try:
        return run(arguments)
    except (OSError, ValueError, KeyError, IndexError) as error:
        print(f"{arguments.model}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1


def run(arguments):
    gguf = GgufFile(arguments.model)
    if arguments.verify:
        with open(arguments.rest[0], encoding="utf-8") as file:
            return verify(gguf, json.load(file))
    if arguments.write:
        write_reference(arguments.rest[0], reference(Chat(gguf), arguments.model.rsplit("/", 1)[-1]))
        return 0
    for questions in [arguments.rest] if arguments.rest else CONVERSATIONS:
        for case in Chat(gguf).conversation(questions):
            print(
                f"> {case['messages'][-1]['content']}\n{case['text']}\n[{len(case['tokens'])} tokens, margin"
                f" {case['min_margin']}]\n"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
