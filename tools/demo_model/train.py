#!/usr/bin/python3
"""Trains the demo model on generated text and writes it as a GGUF file.

The same seed gives the same file on the same machine.
"""

import argparse
import math
import random
import time

import numpy as np
import torch
import torch.nn.functional as F

import bpe
import corpus
from gguf_reader import GgufFile
from gguf_writer import Int32Array, Uint32, write_gguf
from model import Model, Shape

SPECIAL = [corpus.END_OF_TEXT, corpus.IM_START, corpus.IM_END]
ROW_LENGTHS = (256, 512)
TOKENS_PER_STEP = 2048
PROMPT_LOSS_WEIGHT = 0.05  # Reading the user's words helps a little; predicting them is not the aim.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' +"
    " '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def train_tokenizer(seed):
    texts = []
    for document in corpus.documents(seed, 6000):
        texts += [document] if isinstance(document, str) else [content for _, content in document]
    roles = ["system", "user", "assistant"]
    merges = bpe.train_merges(texts + roles * 3000, Shape.n_vocab - 256 - len(SPECIAL))
    return bpe.Tokenizer.from_merges(merges, SPECIAL)


def encode_document(tokenizer, document):
    """Returns ids and the loss weight of each: what the assistant says counts fully, up to and with its end token."""
    if isinstance(document, str):
        ids = tokenizer.encode(document + corpus.IM_END)
        return ids, [1.0] * len(ids)
    ids, weights = [], []
    for role, content in document:
        head = tokenizer.encode(f"{corpus.IM_START}{role}\n")
        body = tokenizer.encode(content + corpus.IM_END)
        end = tokenizer.encode("\n")
        weight = 1.0 if role == "assistant" else PROMPT_LOSS_WEIGHT
        ids += head + body + end
        weights += [PROMPT_LOSS_WEIGHT] * len(head) + [weight] * len(body) + [PROMPT_LOSS_WEIGHT] * len(end)
    return ids, weights


def pack_rows(tokenizer, documents, rng):
    """Fills rows of the lengths above with whole documents. Returns length to (ids, weights, document numbers)."""
    open_rows = {length: [] for length in ROW_LENGTHS}
    full = {length: [] for length in ROW_LENGTHS}
    for number, document in enumerate(documents, 1):
        ids, weights = encode_document(tokenizer, document)
        length = next((n for n in ROW_LENGTHS if len(ids) <= n), None)
        if length is None:
            continue
        rows = open_rows[length]
        row = max((r for r in rows if len(r[0]) + len(ids) <= length), key=lambda r: len(r[0]), default=None)
        if row is None:
            if len(rows) == 40:
                rows.sort(key=lambda r: len(r[0]))
                full[length].append(rows.pop())
            rows.append(row := ([], [], []))
        row[0].extend(ids)
        row[1].extend(weights)
        row[2].extend([number] * len(ids))
    packed = {}
    for length in ROW_LENGTHS:
        rows = full[length] + open_rows[length]
        rng.shuffle(rows)
        packed[length] = [
            np.array([row[part] + [0] * (length - len(row[part])) for row in rows], dtype=kind)
            for part, kind in ((0, np.int64), (1, np.float32), (2, np.int64))
        ]
    return packed


def batches(packed):
    """Returns the batches, short and long rows mixed evenly over the training."""
    placed = []
    for length, (ids, weights, numbers) in packed.items():
        n_rows = TOKENS_PER_STEP // length
        count = len(ids) // n_rows
        for index in range(count):
            part = slice(index * n_rows, (index + 1) * n_rows)
            placed.append(((index + 0.5) / max(1, count), length, ids[part], weights[part], numbers[part]))
    placed.sort(key=lambda item: item[:2])
    return [tuple(map(torch.from_numpy, item[2:])) for item in placed]


def loss_of(model, batch):
    """Returns the weighted training loss, and the loss over the assistant's tokens alone."""
    ids, weights, numbers = batch
    logits = model(ids, numbers)[:, :-1]
    losses = F.cross_entropy(logits.reshape(-1, Shape.n_vocab), ids[:, 1:].reshape(-1), reduction="none")
    same_document = (numbers[:, 1:] == numbers[:, :-1]) & (numbers[:, 1:] > 0)
    weights = (weights[:, 1:] * same_document).reshape(-1)
    answers = (weights == 1.0).float()
    return (losses * weights).sum() / weights.sum(), ((losses * answers).sum() / answers.sum()).item()


def learning_rate(step, n_steps, peak):
    warm_up = min(100, n_steps // 10 + 1)
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, n_steps - warm_up))))


def train(model, steps, held_out, peak_rate):
    decayed = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}],
        betas=(0.9, 0.98),
        foreach=True,
    )
    started, average = time.monotonic(), None
    for step, batch in enumerate(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, len(steps), peak_rate)
        loss, answer_loss = loss_of(model, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average = answer_loss if average is None else 0.98 * average + 0.02 * answer_loss
        if step % 100 == 0 or step + 1 == len(steps):
            print(f"step {step + 1}/{len(steps)}  loss {average:.4f}  {time.monotonic() - started:.0f} s", flush=True)
    with torch.no_grad():
        values = [loss_of(model, batch)[1] for batch in held_out]
    print(f"held-out loss {sum(values) / len(values):.4f}")


def metadata(tokenizer):
    tokens = tokenizer.tokens
    return {
        "general.architecture": "qwen2",
        "general.type": "model",
        "general.name": "Forge Demo",
        "general.author": "The Forge authors",
        "general.license": "apache-2.0",
        "general.description": (
            "A very small chat model that shows that Forge works. It knows a few kinds of answers and writes short"
            " stories."
        ),
        "general.languages": ["en"],
        "general.size_label": "2M",
        "general.file_type": Uint32(7),
        "general.quantization_version": Uint32(2),
        "qwen2.context_length": Uint32(Shape.context_length),
        "qwen2.embedding_length": Uint32(Shape.n_embd),
        "qwen2.block_count": Uint32(Shape.n_layers),
        "qwen2.feed_forward_length": Uint32(Shape.n_ff),
        "qwen2.attention.head_count": Uint32(Shape.n_heads),
        "qwen2.attention.head_count_kv": Uint32(Shape.n_kv_heads),
        "qwen2.attention.layer_norm_rms_epsilon": Shape.rms_eps,
        "qwen2.rope.freq_base": Shape.rope_base,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": Int32Array(3 if token in SPECIAL else 1 for token in tokens),
        "tokenizer.ggml.merges": [f"{a} {b}" for a, b in tokenizer.merges],
        "tokenizer.ggml.eos_token_id": Uint32(tokenizer.id_of(corpus.IM_END)),
        "tokenizer.ggml.padding_token_id": Uint32(tokenizer.id_of(corpus.END_OF_TEXT)),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="the GGUF file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--documents", type=int, default=60000, help="how many conversations to generate and read, once each"
    )
    parser.add_argument("--peak-rate", type=float, default=2.5e-3)
    parser.add_argument("--settle", metavar="GGUF", help="second stage: go on from the weights of this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(arguments.seed)
    started = time.monotonic()
    model = Model()
    settle = arguments.settle is not None
    if settle:
        first_stage = GgufFile(arguments.settle)
        tokenizer = bpe.Tokenizer.from_metadata(first_stage.metadata)
        model.load_gguf_tensors(first_stage.tensors)
    else:
        tokenizer = train_tokenizer(arguments.seed)
    texts = corpus.documents(arguments.seed + settle, arguments.documents, settle)
    steps = batches(pack_rows(tokenizer, texts, random.Random(arguments.seed)))
    texts = corpus.documents(arguments.seed + 1_000_000, 600, settle)
    held_out = batches(pack_rows(tokenizer, texts, random.Random(0)))
    n_parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{n_parameters} parameters, {len(steps)} steps of {TOKENS_PER_STEP} tokens, text ready after"
        f" {time.monotonic() - started:.0f} s"
    )
    train(model, steps, held_out, arguments.peak_rate)
    write_gguf(arguments.output, metadata(tokenizer), model.gguf_tensors())


if __name__ == "__main__":
    main()
