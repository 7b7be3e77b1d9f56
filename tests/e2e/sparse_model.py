"""Writes model files that are large and take no room on the disk: their weights are holes, which
read as zeros. For tests of loads that take a while."""

import struct

UINT32, FLOAT32, STRING, ARRAY = 4, 6, 8, 9
INT32 = 5
F32, F16 = 0, 1
ALIGNMENT = 32


def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(kind, value):
    if kind == STRING:
        return _string(value)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f"}[kind], value)


def _key(name, kind, value):
    if isinstance(value, list):
        body = struct.pack("<IQ", kind, len(value)) + b"".join(_value(kind, v) for v in value)
        return _string(name) + struct.pack("<I", ARRAY) + body
    return _string(name) + struct.pack("<I", kind) + _value(kind, value)


def _vocabulary():
    """A SentencePiece vocabulary of byte tokens."""
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + ["\u2581"]
    types = [2, 3, 3] + [6] * 256 + [1]
    return [_key("tokenizer.ggml.model", STRING, "llama"),
            _key("tokenizer.ggml.tokens", STRING, tokens),
            _key("tokenizer.ggml.scores", FLOAT32, [0.0] * len(tokens)),
            _key("tokenizer.ggml.token_type", INT32, types)], len(tokens)


def write_sparse_model(path, n_layers, n_embd=2048, n_ff=8192):
    """A llama of float16 zeros; a layer is 4 n_embd^2 + 3 n_embd n_ff weights."""
    vocabulary, n_vocab = _vocabulary()
    keys = [_key("general.architecture", STRING, "llama"),
            _key("llama.block_count", UINT32, n_layers),
            _key("llama.embedding_length", UINT32, n_embd),
            _key("llama.feed_forward_length", UINT32, n_ff),
            _key("llama.context_length", UINT32, 512),
            _key("llama.attention.head_count", UINT32, 16),
            _key("llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5), *vocabulary]
    tensors = [("token_embd.weight", (n_embd, n_vocab), F16), ("output_norm.weight", (n_embd,), F32)]
    for layer in range(n_layers):
        blk = f"blk.{layer}."
        tensors += [(blk + "attn_norm.weight", (n_embd,), F32), (blk + "ffn_norm.weight", (n_embd,), F32)]
        tensors += [(blk + name + ".weight", (n_embd, n_embd), F16)
                    for name in ("attn_q", "attn_k", "attn_v", "attn_output")]
        tensors += [(blk + name + ".weight", (n_embd, n_ff), F16) for name in ("ffn_gate", "ffn_up")]
        tensors.append((blk + "ffn_down.weight", (n_ff, n_embd), F16))
    table, offset = b"", 0
    for name, shape, dtype in tensors:
        table += _string(name) + struct.pack("<I", len(shape))
        table += b"".join(struct.pack("<Q", size) for size in shape)
        table += struct.pack("<IQ", dtype, offset)
        n_bytes = 4 if dtype == F32 else 2
        for size in shape:
            n_bytes *= size
        offset += -(-n_bytes // ALIGNMENT) * ALIGNMENT
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys) + table
    data_start = -(-len(header) // ALIGNMENT) * ALIGNMENT
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(data_start + offset)
