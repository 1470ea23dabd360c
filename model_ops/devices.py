"""The machine's GPUs and its fastest number format, found without a model library, so that jobs can import this."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal

Dtype = Literal["bfloat16", "float32"]
DtypeSetting = Literal["auto", "bfloat16", "float32"]

PATIENCE = 30.0  # seconds for nvidia-smi, which takes some 5 where GPUs sleep

# Words in the /proc/cpuinfo of CPUs that multiply faster in bfloat16. Others emulate it (2 cores with AVX2: 19 GFLOPS,
# 164 in float32), and Intel's without AMX reach some 60 % of the speed of float32 (docs/numbers.md).
FAST_BFLOAT16: tuple[set[str], ...] = ({"amx_bf16"}, {"avx512_bf16", "AuthenticAMD"})


def served_dtype(setting: DtypeSetting) -> Dtype:
    """Resolve a recipe's `dtype` on this machine: `auto` is the fastest format, any other setting is itself."""
    return auto_dtype() if setting == "auto" else setting


def has_gpu() -> bool:
    """Return whether models run on a GPU of this machine."""
    return bool(gpus())


@cache
def gpus() -> tuple[str, ...]:
    """Return the usable GPUs by the names in CUDA_VISIBLE_DEVICES, or by number if it is not set."""
    capabilities = _gpu_capabilities()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return tuple(named.split(",")) if named and capabilities else tuple(map(str, range(len(capabilities))))


def shares(devices: tuple[str, ...], per_server: int) -> list[tuple[str, ...]]:
    """Split GPUs into groups of `per_server`, one group per server; return no group if there are too few GPUs."""
    per_server = max(per_server, 1)
    return [devices[first : first + per_server] for first in range(0, len(devices) - per_server + 1, per_server)]


@cache
def auto_dtype() -> Dtype:
    """Return bfloat16 for GPUs (compute capability 8.0 or more) and CPUs that are faster in it, else float32."""
    capabilities = _gpu_capabilities()
    if not capabilities:
        return cpu_dtype(Path("/proc/cpuinfo"))
    return "bfloat16" if min(capabilities) >= 8.0 else "float32"


def cpu_dtype(cpuinfo: Path) -> Dtype:
    """Return the faster number format of a CPU, by its vendor and flags in `/proc/cpuinfo`."""
    words = set(cpuinfo.read_text(errors="replace").split()) if cpuinfo.is_file() else set()
    return "bfloat16" if any(needed <= words for needed in FAST_BFLOAT16) else "float32"


def _gpu_capabilities() -> list[float]:
    """Return the compute capability of each NVIDIA GPU; an empty list if CUDA_VISIBLE_DEVICES disables them.

    Raises:
        TimeoutError: the driver does not answer.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    process = subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        answer, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()  # without waiting: a process that hangs in the driver cannot be ended
        raise TimeoutError(
            f"nvidia-smi did not answer within {PATIENCE:.0f} s: a GPU or its driver hangs; restart it, or set "
            'CUDA_VISIBLE_DEVICES="" to compute on the CPU'
        ) from None
    try:
        return [float(line) for line in answer.split()]
    except ValueError:  # no driver: nvidia-smi prints a message instead
        return []
