from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from transformers import AutoModelForCausalLM

from model_ops.training.dataset import Example
from model_ops.training.loss import IGNORED, collate, sums_by_example, token_losses

pytestmark = pytest.mark.model

EXAMPLES = [
    Example("long", [1, 50, 51, 52, 53], [60, 61, 62, 2]),
    Example("short", [1, 54], [63, 2]),
    Example("short prompt", [1], [64, 65, 66, 67, 68, 2]),
]


@pytest.fixture(scope="module")
def model(tiny: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def by_hand(model: Any) -> Callable[[Example], list[float]]:
    """Return a function for the losses of one example's completion tokens, from all its logits, without padding."""

    def losses(example: Example) -> list[float]:
        tokens = [*example.prompt, *example.completion]
        with torch.no_grad():
            shares = model(input_ids=torch.tensor([tokens])).logits[0].log_softmax(-1)
        places = range(len(example.prompt), len(tokens))
        return [-shares[place - 1, tokens[place]].item() for place in places]

    return losses


def test_batches_are_padded_on_the_left() -> None:
    batch = collate(EXAMPLES[:2], pad=9)
    assert batch["input_ids"].tolist() == [[1, 50, 51, 52, 53, 60, 61, 62], [9, 9, 9, 9, 9, 1, 54, 63]]
    assert batch["attention_mask"].tolist() == [[1] * 8, [0] * 5 + [1] * 3]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 0, 0, 0, 1, 2]]
    assert batch["labels"].tolist() == [[60, 61, 62, 2], [IGNORED, IGNORED, 63, 2]]
    assert batch["logits_to_keep"] == 4
    assert batch["ids"] == ["long", "short"]


def test_losses_are_those_of_the_completion_tokens(model: Any, by_hand: Callable[[Example], list[float]]) -> None:
    batch = collate(EXAMPLES, pad=2)
    labels, owners, _ = (batch.pop(name) for name in ("labels", "owners", "ids"))
    with torch.no_grad():
        logits = model(**batch).logits
    assert logits.shape[:2] == (3, 6), "logits only where there may be a loss"
    losses = token_losses(logits, labels)
    for row, example in enumerate(EXAMPLES):
        expected = by_hand(example)
        assert losses[row, -len(expected) :].tolist() == pytest.approx(expected, abs=1e-5)
        assert not losses[row, : -len(expected)].any()
    sums = sums_by_example(losses, owners, 3).tolist()
    assert sums == pytest.approx([sum(by_hand(example)) for example in EXAMPLES], abs=1e-5)
