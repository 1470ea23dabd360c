"""What the machine computes fast in; loads no model library, so that jobs can ask too."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal

Dtype = Literal["bfloat16", "float32"]
DtypeSetting = Literal["auto", "bfloat16", "float32"]

PATIENCE = 30.0  # seconds for nvidia-smi, which takes some 5 where GPUs sleep

# What /proc/cpuinfo says of CPUs that multiply faster in bfloat16. Others emulate it (2 cores with AVX2: 19 GFLOPS, and
# 164 in float32), and Intel's without AMX do it at some 60 % of the speed of float32 (docs/numbers.md).
FAST_BFLOAT16: tuple[set[str], ...] = ({"amx_bf16"}, {"avx512_bf16", "AuthenticAMD"})


def served_dtype(setting: DtypeSetting) -> Dtype:
    """The number format that a recipe's `dtype` means on this machine, for training and serving."""
    return auto_dtype() if setting == "auto" else setting


def has_gpu() -> bool:
    """Whether models run on a GPU here."""
    return bool(gpus())


@cache
def gpus() -> tuple[str, ...]:
    """The GPUs in use, as CUDA_VISIBLE_DEVICES names them."""
    found = _gpu_capabilities()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return tuple(named.split(",")) if named and found else tuple(map(str, range(len(found))))


def shares(devices: tuple[str, ...], each: int) -> list[tuple[str, ...]]:
    """GPUs shared out to servers that take `each` of them; empty where there are none, or too few."""
    each = max(each, 1)
    return [devices[first : first + each] for first in range(0, len(devices) - each + 1, each)]


@cache
def auto_dtype() -> Dtype:
    """bfloat16 on GPUs (compute capability 8.0 or more) and CPUs where that is faster, else float32."""
    capabilities = _gpu_capabilities()
    if not capabilities:
        return cpu_dtype(Path("/proc/cpuinfo"))
    return "bfloat16" if min(capabilities) >= 8.0 else "float32"


def cpu_dtype(cpuinfo: Path) -> Dtype:
    """What a CPU computes fast in, by its maker and flags in `/proc/cpuinfo`."""
    words = set(cpuinfo.read_text(errors="replace").split()) if cpuinfo.is_file() else set()
    return "bfloat16" if any(needed <= words for needed in FAST_BFLOAT16) else "float32"


def _gpu_capabilities() -> list[float]:
    """The compute capability of each of the machine's NVIDIA GPUs; none where they are not to be used.

    Raises:
        TimeoutError: the driver does not answer.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    asked = subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        answer, _ = asked.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        asked.kill()  # and not waited for: what hangs in the driver cannot be ended
        raise TimeoutError(
            f"nvidia-smi did not answer within {PATIENCE:.0f} s: a GPU or its driver hangs; restart it, or set "
            'CUDA_VISIBLE_DEVICES="" to compute on the CPU'
        ) from None
    try:
        return [float(line) for line in answer.split()]
    except ValueError:  # no driver: the tool is there and says so in words
        return []
