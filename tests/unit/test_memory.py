"""The estimate of a training's memory, and the choice of checkpointing that follows from it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from model_ops.training import memory
from model_ops.training.memory import Pass, Shape, Weights, fitting_mode, free_bytes, needed_bytes, shape_of
from model_ops.training.settings import TrainingError

LLAMA = SimpleNamespace(
    hidden_size=4096, num_attention_heads=32, num_key_value_heads=32, num_hidden_layers=32, intermediate_size=11008,
    vocab_size=32000,
)  # fmt: skip
ADAPTERS = shape_of(LLAMA, Weights(2 * 6_738_000_000, 40_000_000), 2)
ONE = Weights(4, 1)
WHOLE = shape_of(LLAMA, Weights(0, 6_738_000_000), 2)


@pytest.mark.parametrize(
    ("largest", "mode", "measured"), [(Pass(4096, 3700), "none", 45), (Pass(8192, 7400), "full", 19.7)]
)
def test_the_estimate_agrees_with_what_was_measured(largest: Pass, mode: memory.Recomputed, measured: float) -> None:
    """A 7B model with adapters of rank 16 on an H100; GiB."""
    assert needed_bytes(ADAPTERS, largest, mode) / 2**30 == pytest.approx(measured, rel=0.15)


def test_the_mode_that_computes_least_is_chosen() -> None:
    largest = Pass(4096, 4096)
    needed = {mode: needed_bytes(ADAPTERS, largest, mode) for mode in memory.MODES}
    assert needed["none"] > needed["selective"] > needed["full"]
    for mode, n_bytes in needed.items():
        assert fitting_mode(ADAPTERS, largest, int(n_bytes / memory.USABLE) + 1) == mode
        assert n_bytes < 80e9 or mode == "none"


def test_a_pass_that_is_too_large_says_what_would_fit() -> None:
    available = int(needed_bytes(ADAPTERS, Pass(4000, 4000), "full") / memory.USABLE)
    with pytest.raises(TrainingError, match=r"GB are there; (4,000|3,999) tokens of 8,000 in a forward pass would fit"):
        fitting_mode(ADAPTERS, Pass(8000, 8000), available)


def test_weights_that_do_not_fit_ask_for_another_method() -> None:
    with pytest.raises(
        TrainingError, match=r"of which 107\.8 for weights.*80\.0 GB are there; train adapters \(finetune"
    ):
        fitting_mode(WHOLE, Pass(2048, 2048), 80 * 10**9)


def test_weights_that_processes_share_take_less_each() -> None:
    def needed(**changes: int) -> float:
        shape = replace(WHOLE, weights=replace(WHOLE.weights, **changes))
        return needed_bytes(shape, Pass(2048, 2048), "full") / 1e9

    assert needed() > 107
    assert needed(bytes_per_trained=10) == pytest.approx(needed() - 6 * 6.738)
    assert 107 / 8 < needed(n_processes=8) < 25, "the share, the embeddings and two whole layers"


def test_sizes_that_a_configuration_lacks_are_the_usual_ones() -> None:
    plain = shape_of(SimpleNamespace(hidden_size=64, num_attention_heads=4, num_hidden_layers=2, vocab_size=9), ONE, 4)
    assert plain == Shape(ONE, 2, 64, 256, 64, 9, 4)


@pytest.mark.parametrize(("limit", "expected"), [(None, 3 << 20), ("max\n", 3 << 20), ("1048576\n", 1 << 20)])
def test_a_container_limits_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, expected: int
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:       9999 kB\nMemAvailable:   3072 kB\nHugePages_Total: 0\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "memory.max")
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
    assert free_bytes() == expected
