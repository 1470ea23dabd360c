import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model_ops import devices


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a function that puts an nvidia-smi with a given reply on the path."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(reply: str) -> None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\ncat <<'END'\n{reply}END\n")
        tool.chmod(0o755)

    forget()
    yield install
    forget()


def forget() -> None:
    devices.gpus.cache_clear()
    devices.auto_dtype.cache_clear()


@pytest.mark.parametrize(
    ("maker", "flags", "dtype"),
    [
        ("AuthenticAMD", "fpu avx2 fma", "float32"),
        ("AuthenticAMD", "avx512f avx512_bf16", "bfloat16"),
        ("GenuineIntel", "avx512f avx512_bf16", "float32"),
        ("GenuineIntel", "avx512_bf16 amx_tile amx_bf16", "bfloat16"),
    ],
)
def test_a_cpu_is_known_by_its_maker_and_flags(maker: str, flags: str, dtype: str, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nvendor_id\t: {maker}\nflags\t\t: {flags}\n")
    assert devices.cpu_dtype(cpuinfo) == dtype


def test_a_system_without_cpuinfo(tmp_path: Path) -> None:
    assert devices.cpu_dtype(tmp_path / "none") == "float32"


@pytest.mark.parametrize(
    ("reply", "visible", "found"),
    [
        ("9.0\n7.5\n", None, ("0", "1")),
        ("9.0\n9.0\n9.0\n", "2,0", ("2", "0")),
        ("NVIDIA-SMI has failed\n", None, ()),
        ("NVIDIA-SMI has failed\n", "0", ()),
        ("", None, ()),
        ("9.0\n", "", ()),
    ],
)
def test_the_gpus_in_use_are_found(
    reply: str,
    visible: str | None,
    found: tuple[str, ...],
    nvidia_smi: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nvidia_smi(reply)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.gpus() == found
    assert devices.has_gpu() == bool(found)


def test_a_hanging_gpu_times_out(
    nvidia_smi: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi("9.0\n")
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 9.0\nsleep 60\n")
    monkeypatch.setattr(devices, "PATIENCE", 1.0)
    began = time.monotonic()
    with pytest.raises(
        TimeoutError, match="nvidia-smi did not answer within 1 s: a GPU or its driver hangs; restart it"
    ):
        devices.has_gpu()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("reply", "dtype"), [("9.0\n8.0\n", "bfloat16"), ("9.0\n7.5\n", "float32")])
def test_the_weakest_gpu_decides(reply: str, dtype: str, nvidia_smi: Callable[[str], None]) -> None:
    nvidia_smi(reply)
    assert devices.served_dtype("auto") == dtype


def test_the_recipes_dtype_has_priority() -> None:
    assert devices.served_dtype("bfloat16") == "bfloat16"
