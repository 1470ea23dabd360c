"""Search for NaN and infinite weights by their bits: numpy has neither bfloat16 nor 8-bit floats."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path

import numpy as np

# Format in safetensors -> word type, bit mask, and the masked value that means NaN or infinity.
FORMATS = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000, 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000, 0x7F80_0000),
    "C64": ("<u4", 0x7F80_0000, 0x7F80_0000),
    "F16": ("<u2", 0x7C00, 0x7C00),
    "BF16": ("<u2", 0x7F80, 0x7F80),
    "F8_E5M2": ("<u1", 0x7C, 0x7C),
    "F8_E4M3": ("<u1", 0x7F, 0x7F),
    "F8_E8M0": ("<u1", 0xFF, 0xFF),
    "F8_E5M2FNUZ": ("<u1", 0xFF, 0x80),
    "F8_E4M3FNUZ": ("<u1", 0xFF, 0x80),
}
IGNORED = ("masked_bias",)  # a constant of old GPTs, infinite in float16; transformers and vLLM skip it
WORDS = 2**19  # checked at a time: they fit into a CPU's cache
LARGEST_HEADER = 10**8  # limit of the format


class WeightFileError(ValueError):
    """A file that is not safetensors, or is cut short."""


@dataclass(frozen=True)
class _Tensor:
    """The location in a file of a tensor whose format has NaN."""

    file: str
    name: str
    format: str
    start: int
    n_bytes: int
    n_weights: int

    def n_not_finite(self) -> int:
        """Count the NaN and infinite weights."""
        words, mask, value = FORMATS[self.format]
        kind = np.dtype(words)
        if self.n_bytes < kind.itemsize:
            return 0  # an empty range cannot be mapped
        stored = np.memmap(self.file, kind, "r", self.start, (self.n_bytes // kind.itemsize,))
        parts = (stored[first : first + WORDS] for first in range(0, len(stored), WORDS))
        return sum(int(np.count_nonzero((part & kind.type(mask)) == value)) for part in parts)


def fault(folder: Path) -> str | None:
    """Describe the fault of the weights in a folder and its adapter; None if all are finite.

    The result is cached in the process while names, sizes and modification times of the files stay the same.
    """
    files = sorted((*folder.glob("*.safetensors"), *folder.glob("adapter/*.safetensors")))
    return _fault(tuple((str(file), (facts := file.stat()).st_size, facts.st_mtime_ns) for file in files))


@lru_cache(maxsize=16)
def _fault(files: tuple[tuple[str, int, int], ...]) -> str | None:
    try:
        tensors = [tensor for file, n_bytes, _ in files for tensor in _tensors(file, n_bytes)]
    except WeightFileError as error:
        return str(error)
    with ThreadPoolExecutor(max_workers=4) as pool:
        counts = list(pool.map(_Tensor.n_not_finite, tensors))
    faulty = [(tensor, n) for tensor, n in zip(tensors, counts, strict=True) if n]
    if not faulty:
        return None
    (first, n), n_bad, n_all = faulty[0], sum(counts), sum(tensor.n_weights for tensor in tensors)
    where = f"in {len(faulty):,} of {len(tensors):,} tensors, e.g. {n:,} of the {first.n_weights:,} in {first.name}"
    return f"{n_bad:,} of {n_all:,} weights {'is' if n_bad == 1 else 'are'} NaN or infinite, {where}"


def _tensors(file: str, n_bytes: int) -> Iterator[_Tensor]:
    """Yield the tensors of a safetensors file whose format has NaN, without those in IGNORED.

    Raises:
        WeightFileError: the file is not safetensors, or is cut short.
    """
    name = Path(file).name
    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length) if length <= min(n_bytes, LARGEST_HEADER) else b""
    try:
        entries = {key: entry for key, entry in json.loads(header).items() if key != "__metadata__"}
        tensors = [
            (key, entry["dtype"], entry["shape"], *map(int, entry["data_offsets"])) for key, entry in entries.items()
        ]
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise WeightFileError(f"{name} is not a safetensors file: its header cannot be read") from error
    for key, format, shape, start, end in tensors:
        if not start <= end <= n_bytes - 8 - length:
            raise WeightFileError(f"{name} is cut short: it has {n_bytes:,} bytes, {key} ends at {8 + length + end:,}")
        if format in FORMATS and not key.endswith(IGNORED):
            yield _Tensor(file, key, format, 8 + length + start, end - start, prod(shape))
