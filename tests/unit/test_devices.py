from pathlib import Path

import pytest

from model_ops import devices


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [("fpu avx2 fma", "float32"), ("avx512f avx512_bf16", "bfloat16"), ("amx_tile amx_bf16", "bfloat16")],
)
def test_a_cpu_is_known_by_its_flags(flags: str, dtype: str, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert devices.cpu_dtype(cpuinfo) == dtype


def test_a_system_without_cpuinfo(tmp_path: Path) -> None:
    assert devices.cpu_dtype(tmp_path / "none") == "float32"


@pytest.mark.parametrize(("reply", "capability"), [("9.0\n7.5\n", 7.5), ("NVIDIA-SMI has failed\n", None), ("", None)])
def test_the_weakest_gpu_counts(
    reply: str, capability: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{reply}END\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices._gpu_capability() == capability
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices._gpu_capability() is None


@pytest.mark.parametrize(("capability", "dtype"), [(9.0, "bfloat16"), (7.5, "float32")])
def test_a_gpu_decides(capability: float, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_gpu_capability", lambda: capability)
    devices.auto_dtype.cache_clear()
    assert devices.served_dtype("auto") == dtype
    devices.auto_dtype.cache_clear()


def test_what_the_recipe_says_holds() -> None:
    assert devices.served_dtype("bfloat16") == "bfloat16"
