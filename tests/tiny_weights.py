"""A small safetensors file, written without torch; bfloat16 and 8-bit floats are given by their bits."""

import json
from pathlib import Path

import numpy as np

BITS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "i1"}


def write_weights(file: Path, **tensors: tuple[str, list[float]]) -> None:
    """Write tensors by name, each given by its format and its numbers (bits for a format that numpy lacks)."""
    header, data = {}, b""
    for name, (format, values) in tensors.items():
        stored = np.array(values, BITS.get(format, "u1")).tobytes()
        header[name] = {"dtype": format, "shape": [len(values)], "data_offsets": [len(data), len(data) + len(stored)]}
        data += stored
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)
