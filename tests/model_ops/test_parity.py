"""The answers that a training records, by which a server is checked."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from transformers import AutoModelForCausalLM

from model_ops.training import parity
from model_ops.training.dataset import Example
from model_ops.training.parity import reference_answers

pytestmark = pytest.mark.model


class Scripted:
    """A model whose logits depend on the last token only: token n is followed by n + 1."""

    device = torch.device("cpu")

    def __init__(self, lead: dict[int, float]) -> None:
        self.lead = lead

    def __call__(self, input_ids: torch.Tensor, **_: Any) -> Any:
        last = int(input_ids[0, -1])
        logits = torch.zeros(1, 1, 30)
        logits[0, 0, last + 1] = self.lead.get(last, 2.0)
        return SimpleNamespace(logits=logits)


def test_an_answer_ends_before_an_unclear_token_or_the_end() -> None:
    examples = [
        Example("unclear", [1, 5], [2]),
        Example("ends", [1, 1, 11], [2]),
        Example("at once", [1, 1, 1, 20], [2]),
    ]
    answers = reference_answers(Scripted({7: 0.4, 20: 0.1}), examples, end_id=14, dtype="float32")
    assert answers == [{"prompt": [1, 5], "tokens": [6, 7]}, {"prompt": [1, 1, 11], "tokens": [12, 13]}]


def test_bfloat16_needs_a_larger_lead() -> None:
    examples = [Example("a", [1, 5], [2])]
    [exact] = reference_answers(Scripted({7: 1.0}), examples, end_id=14, dtype="float32")
    [rounded] = reference_answers(Scripted({7: 1.0}), examples, end_id=14, dtype="bfloat16")
    assert (exact["tokens"][:2], rounded["tokens"]) == ([6, 7], [6, 7])
    assert len(exact["tokens"]) > 2


def test_few_prompts_and_tokens_are_recorded() -> None:
    examples = [Example(str(i), [1] * (9 - i), [2]) for i in range(8)]
    answers = reference_answers(Scripted({}), examples, end_id=29, dtype="bfloat16")
    assert [len(one["prompt"]) for one in answers] == [2, 3, 4]
    assert {len(one["tokens"]) for one in answers} == {parity.MAX_TOKENS}


def test_answers_are_those_of_greedy_generation(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "CLEAR", {"float32": 0.0})
    model: Any = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).eval()
    [answer] = reference_answers(model, [Example("a", [1, 50, 60], [2])], end_id=319, dtype="float32")
    written = model.generate(torch.tensor([[1, 50, 60]]), do_sample=False, max_new_tokens=16, eos_token_id=319)
    assert [1, 50, 60, *answer["tokens"]] == written[0].tolist()
