"""Writes GGUF version 3: metadata, then tensors in F32 or Q8_0, each aligned to 32 bytes."""

import struct

import numpy as np

_ALIGNMENT = 32
_UINT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 6, 7, 8, 9
_TYPE_F32, _TYPE_Q8_0 = 0, 8
_Q8_0_BLOCK = 32


class Uint32(int):
    """A metadata value of type uint32."""


class Int32Array(list):
    """A metadata value: an array of int32."""


def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value):
    """Returns the type code and the bytes of a metadata value."""
    if isinstance(value, bool):
        return _BOOL, struct.pack("<?", value)
    if isinstance(value, Uint32):
        return _UINT32, struct.pack("<I", value)
    if isinstance(value, float):
        return _FLOAT32, struct.pack("<f", value)
    if isinstance(value, str):
        return _STRING, _string(value)
    if isinstance(value, Int32Array):
        return _ARRAY, struct.pack("<IQ", 5, len(value)) + struct.pack(f"<{len(value)}i", *value)
    if isinstance(value, list):
        return _ARRAY, struct.pack("<IQ", _STRING, len(value)) + b"".join(map(_string, value))
    raise TypeError(f"no GGUF type for a metadata value of type {type(value).__name__}")


def quantise_q8_0(matrix):
    """Returns the Q8_0 blocks of a float32 array: for each 32 values a float16 scale and 32 int8."""
    if matrix.shape[-1] % _Q8_0_BLOCK != 0:
        raise ValueError(f"row length {matrix.shape[-1]} is not a multiple of {_Q8_0_BLOCK}")
    blocks = matrix.astype(np.float32).reshape(-1, _Q8_0_BLOCK)
    scales = np.abs(blocks).max(axis=1) / np.float32(127)
    # Quantise with the scale as it is stored, so that rounding it to float16 adds no error of its own.
    stored = scales.astype(np.float16)
    divisor = np.where(stored == 0, np.float32(1), stored.astype(np.float32))
    values = np.clip(np.rint(blocks / divisor[:, None]), -127, 127).astype(np.int8)
    out = np.empty(len(blocks), dtype=[("scale", "<f2"), ("values", "i1", _Q8_0_BLOCK)])
    out["scale"], out["values"] = stored, values
    return out.tobytes()


def write_gguf(path, metadata, tensors):
    """`metadata`: name to value. `tensors`: name to float32 array; matrices become Q8_0, vectors stay F32."""
    header = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        code, data = _value(value)
        header += _string(key) + struct.pack("<I", code) + data
    contents, offset = [], 0
    for name, array in tensors.items():
        is_matrix = array.ndim == 2
        data = quantise_q8_0(array) if is_matrix else array.astype("<f4").tobytes()
        dimensions = array.shape[::-1]  # GGUF counts the fastest dimension first.
        header += (
            _string(name) + struct.pack("<I", len(dimensions)) + struct.pack(f"<{len(dimensions)}Q", *dimensions)
        )
        header += struct.pack("<IQ", _TYPE_Q8_0 if is_matrix else _TYPE_F32, offset)
        data += b"\0" * (-len(data) % _ALIGNMENT)
        contents.append(data)
        offset += len(data)
    with open(path, "wb") as file:
        file.write(header + b"\0" * (-len(header) % _ALIGNMENT) + b"".join(contents))
