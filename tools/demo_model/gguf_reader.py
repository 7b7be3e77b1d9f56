"""Reads a GGUF file: metadata, and tensors as exactly dequantised float64 arrays. Shares no code with the writer."""

import numpy as np

_SCALARS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_STRING, _ARRAY = 8, 9


class GgufFile:
    """Holds `metadata` (key to value) and `tensors` (name to float64 array, slowest dimension first)."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self._data = file.read()
        self._at = 0
        if self._take(4) != b"GGUF" or self._scalar(4) != 3:
            raise ValueError(f"{path}: not a GGUF file of version 3")
        n_tensors, n_keys = self._scalar(10), self._scalar(10)
        self.metadata = {}
        for _ in range(n_keys):
            key = self._string()
            self.metadata[key] = self._value(self._scalar(4))
        self.types, infos = {}, []
        for _ in range(n_tensors):
            name = self._string()
            shape = [self._scalar(10) for _ in range(self._scalar(4))]
            self.types[name] = self._scalar(4)
            infos.append((name, tuple(reversed(shape)), self._scalar(10)))
        alignment = self.metadata.get("general.alignment", 32)
        start = -(-self._at // alignment) * alignment
        self.tensors = {name: self._tensor(name, shape, start + offset) for name, shape, offset in infos}

    def _take(self, size):
        if self._at + size > len(self._data):
            raise ValueError(f"file ends at {len(self._data)}, but {size} bytes are expected at {self._at}")
        self._at += size
        return self._data[self._at - size : self._at]

    def _scalar(self, code):
        kind = np.dtype(_SCALARS[code])
        return np.frombuffer(self._take(kind.itemsize), kind)[0].item()

    def _string(self):
        return self._take(self._scalar(10)).decode()

    def _value(self, code):
        if code == _STRING:
            return self._string()
        if code == _ARRAY:
            element, count = self._scalar(4), self._scalar(10)
            return [self._value(element) for _ in range(count)]
        return self._scalar(code)

    def _tensor(self, name, shape, at):
        count = int(np.prod(shape))
        self._at = at
        if self.types[name] == 0:
            return np.frombuffer(self._take(4 * count), "<f4").astype(np.float64).reshape(shape)
        if self.types[name] == 8:
            blocks = np.frombuffer(self._take(34 * (count // 32)), np.dtype([("scale", "<f2"), ("values", "i1", 32)]))
            return (blocks["scale"].astype(np.float64)[:, None] * blocks["values"]).reshape(shape)
        raise ValueError(f"tensor {name}: type {self.types[name]} is neither F32 (0) nor Q8_0 (8)")
