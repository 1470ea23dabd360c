"""NaN and infinities in every format of safetensors; the bits of one byte are those of the OCP's 8-bit formats."""

from pathlib import Path

import numpy as np
import pytest

from model_ops import weights
from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import ServerError, VllmServer
from tests.tiny_weights import write_weights

NAN, INF = float("nan"), float("inf")


def fault(folder: Path, **tensors: tuple[str, list[float]]) -> str | None:
    write_weights(folder / "model.safetensors", **tensors)
    return weights.fault(folder)


@pytest.mark.parametrize(
    ("format", "finite", "bad"),
    [
        ("F64", [0, -1e308, 5e-324], [NAN, INF, -INF]),
        ("F32", [0, -3.4e38, 1e-45], [NAN, INF, -INF]),
        ("F16", [0, -65504, 6e-8], [NAN, INF, -INF]),
        ("BF16", [0x0000, 0x8000, 0x7F7F, 0xFF7F, 0x0001], [0x7F80, 0xFF80, 0x7FC0, 0xFFFF, 0x7F81]),
        ("F8_E5M2", [0x00, 0x7B, 0xFB], [0x7C, 0xFC, 0x7D, 0xFF]),
        ("F8_E4M3", [0x00, 0x7E, 0xFE, 0x78], [0x7F, 0xFF]),
        ("F8_E8M0", [0x00, 0xFE], [0xFF]),
        ("F8_E4M3FNUZ", [0x00, 0x7F, 0xFF], [0x80]),
        ("F8_E5M2FNUZ", [0x00, 0x7F, 0xFF], [0x80]),
        ("I8", [-128, 127, -1], []),
    ],
)
def test_every_format_has_its_bits(tmp_path: Path, format: str, finite: list[float], bad: list[float]) -> None:
    assert fault(tmp_path, a=(format, finite)) is None
    for value in bad:
        said = fault(tmp_path, a=(format, finite), b=(format, [*finite, value]))
        n = 2 * len(finite) + 1
        each = f"1 of the {len(finite) + 1} in b"
        assert said == f"1 of {n} weights is NaN or infinite, in 1 of 2 tensors, e.g. {each}"


def test_nonfinite_weights_are_counted_in_model_and_adapter(tmp_path: Path) -> None:
    write_weights(tmp_path / "model-00001.safetensors", a=("F32", [0.0] * 3 + [NAN] * 2), odd=("I8", [1]))
    write_weights(tmp_path / "model-00002.safetensors", b=("F16", [INF]), empty=("F32", []))
    assert weights.fault(tmp_path) == "3 of 6 weights are NaN or infinite, in 2 of 3 tensors, e.g. 2 of the 5 in a"
    (tmp_path / "sound").mkdir()
    write_weights(tmp_path / "sound" / "model.safetensors", a=("F32", [1.0]))
    assert weights.fault(tmp_path / "sound") is None
    (tmp_path / "sound" / "adapter").mkdir()
    write_weights(tmp_path / "sound" / "adapter" / "adapter_model.safetensors", lora_A=("F32", [NAN]))
    assert "1 of the 1 in lora_A" in str(weights.fault(tmp_path / "sound"))


def test_a_large_tensor_is_counted_in_parts(tmp_path: Path) -> None:
    values = np.zeros(weights.WORDS + 5)
    values[[0, weights.WORDS - 1, weights.WORDS, -1]] = NAN
    assert "e.g. 4 of the 524,293 in a" in str(fault(tmp_path, a=("F32", [*values])))


def test_constants_of_old_models_are_ignored(tmp_path: Path) -> None:
    assert fault(tmp_path, **{"transformer.h.0.attn.masked_bias": ("F16", [-INF])}) is None


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"weights", "model.safetensors is not a safetensors file: its header cannot be read"),
        (b"", "model.safetensors is not a safetensors file: its header cannot be read"),
        ((2).to_bytes(8, "little") + b"[]", "model.safetensors is not a safetensors file: its header cannot be read"),
    ],
)
def test_a_file_that_is_not_safetensors_is_a_fault(tmp_path: Path, contents: bytes, said: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(contents)
    assert weights.fault(tmp_path) == said


def test_a_truncated_file_is_a_fault(tmp_path: Path) -> None:
    write_weights(tmp_path / "model.safetensors", a=("F32", [1.0] * 9))
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-1])
    said = f"model.safetensors is cut short: it has {len(whole) - 1} bytes, a ends at {len(whole)}"
    assert weights.fault(tmp_path) == said


def test_no_server_is_started_on_nonfinite_weights(tmp_path: Path) -> None:
    write_weights(tmp_path / "model.safetensors", a=("BF16", [0x7FC0]))
    server = VllmServer(str(tmp_path), "m", ServerSettings(port=18434, max_num_seqs=1), tmp_path / "log")
    with pytest.raises(
        ServerError, match=r"is not served: 1 of 1 weights is NaN or infinite, .* 1 in a; train it again"
    ):
        server.start()
    assert not server.alive
    assert not (tmp_path / "log").exists()
