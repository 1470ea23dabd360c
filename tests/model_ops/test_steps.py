"""The steps of a training: which examples they have, in which passes, and that packing changes no loss."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from transformers import AutoModelForCausalLM

from model_ops.training.dataset import Example
from model_ops.training.loss import IGNORED, collate, pack, sums_by_example, token_losses
from model_ops.training.settings import TrainingSettings
from model_ops.training.steps import Steps, best_fit

pytestmark = pytest.mark.model


def example(rng: random.Random, name: str, longest: int = 60) -> Example:
    """Generate an example of random tokens; the first of a prompt begins a message."""
    prompt = [1, *rng.choices(range(3, 320), k=rng.randint(0, longest // 2))]
    return Example(name, prompt, [*rng.choices(range(3, 320), k=rng.randint(0, longest // 2 - 1)), 2])


def settings(**changes: Any) -> TrainingSettings:
    return TrainingSettings(small_batch_size=4, micro_batch_size=2, epochs=2, max_length=64, **changes)


@given(st.lists(st.integers(1, 64), max_size=40))
def test_best_fit_places_every_item_once_within_the_capacity(lengths: list[int]) -> None:
    rows = best_fit(lengths, 64)
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row) <= 64 for row in rows)
    full_rows = [sum(lengths[i] for i in row) for row in rows]
    assert sum(2 * n <= 64 for n in full_rows) <= 1, "two rows that are half empty would fit into one"


def test_best_fit_takes_the_fullest_row_that_has_room() -> None:
    assert best_fit([50, 40, 14, 24, 10], 64) == [[0, 2], [1, 3], [4]]


@pytest.mark.parametrize("packing", ["on", "off"])
@pytest.mark.parametrize(("n_examples", "n_processes"), [(10, 1), (9, 2), (5, 4)])
def test_every_epoch_has_every_example_once(packing: Any, n_examples: int, n_processes: int) -> None:
    rng = random.Random(0)
    examples = [example(rng, str(i)) for i in range(n_examples)]
    processes = [Steps(examples, settings(packing=packing), 0, p, n_processes) for p in range(n_processes)]
    per_epoch = processes[0].per_epoch
    assert len(processes[0]) == 2 * per_epoch == 2 * -(-n_examples // 4)
    orders = []
    for epoch in range(2):
        seen: list[str] = []
        for index in range(epoch * per_epoch, (epoch + 1) * per_epoch):
            steps = [of_process[index] for of_process in processes]
            assert len({(len(s.passes), s.n_tokens, s.n_seen) for s in steps}) == 1, "all processes are in step"
            passes = [one for step in steps for one in step.passes]
            weighed = [one for one in passes if (one["labels"] != IGNORED).any()]
            assert sum(int((one["labels"] != IGNORED).sum()) for one in weighed) == steps[0].n_tokens
            seen += [name for one in weighed for name in one["ids"]]
        assert sorted(seen, key=int) == [str(i) for i in range(n_examples)]
        orders.append(seen)
    assert orders[0] != orders[1]


def test_a_step_follows_from_its_number_alone() -> None:
    rng = random.Random(0)
    examples = [example(rng, str(i)) for i in range(10)]
    forwards, backwards = (Steps(examples, settings(), 0, 0, 1) for _ in range(2))
    in_order = [forwards.members(i) for i in range(len(forwards))]
    assert [backwards.members(i) for i in reversed(range(len(backwards)))] == in_order[::-1]


def test_a_packed_row_has_no_padding() -> None:
    row = pack([Example("a", [1, 50, 51], [60, 2]), Example("b", [1], [61, 62, 2])])
    assert row["input_ids"].tolist() == [[1, 50, 51, 60, 1, 61, 62]]
    assert row["position_ids"].tolist() == [[0, 1, 2, 3, 0, 1, 2]]
    assert row["logits_to_keep"].tolist() == [2, 3, 4, 5, 6]
    assert row["labels"].tolist() == [[60, 2, 61, 62, 2]]
    assert row["owners"].tolist() == [[0, 0, 1, 1, 1]]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("seed", range(5))
def test_an_example_in_a_packed_row_has_the_loss_that_it_has_alone(tiny: Path, attention: str, seed: int) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32, attn_implementation=attention).eval()
    rng = random.Random(seed)
    examples = [example(rng, str(i)) for i in range(rng.randint(2, 6))]

    def sums(inputs: dict[str, Any]) -> torch.Tensor:
        labels, owners, ids = (inputs.pop(name) for name in ("labels", "owners", "ids"))
        with torch.no_grad():
            return sums_by_example(token_losses(model(**inputs).logits, labels), owners, len(ids))

    alone = torch.cat([sums(collate([one], pad=2)) for one in examples])
    n_tokens = torch.tensor([len(one.completion) for one in examples])
    for together in (sums(pack(examples)), sums(collate(examples, pad=2))):
        assert torch.allclose(together / n_tokens, alone / n_tokens, atol=1e-5, rtol=0)
