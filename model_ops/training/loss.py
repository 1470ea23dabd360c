"""Loss on the completion only, with logits computed at its positions only."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from model_ops.training.dataset import Example

IGNORED = -100


def collate(examples: Sequence[Example], pad: int) -> dict[str, Any]:
    """Build a batch, padded on the left so that all completions end at its right edge.

    The last token predicts nothing and is left out. `logits_to_keep` is the length of the longest
    completion: the model computes logits at that number of positions at the end of each row.
    `labels` are the tokens that those positions should predict, after one column that is ignored:
    Trainer drops the first column when it counts tokens. `ids` names the examples, for messages.
    """
    width = max(len(e) for e in examples) - 1
    keep = max(len(e.completion) for e in examples)
    ids = torch.full((len(examples), width), pad)
    mask = torch.zeros((len(examples), width), dtype=torch.long)
    labels = torch.full((len(examples), keep + 1), IGNORED)
    for row, example in enumerate(examples):
        tokens = torch.tensor([*example.prompt, *example.completion])
        ids[row, width - len(example) + 1 :] = tokens[:-1]
        mask[row, width - len(example) + 1 :] = 1
        labels[row, keep + 1 - len(example.completion) :] = torch.tensor(example.completion)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
        "labels": labels,
        "logits_to_keep": keep,
        "ids": [example.example_id for example in examples],
    }


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the negative log-likelihood of each completion token in nats, 0 elsewhere; shape (rows, positions)."""
    targets = labels[:, 1:]
    losses = cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return losses.view(targets.shape)


def completion_loss(
    logits: torch.Tensor, labels: torch.Tensor, n_tokens: torch.Tensor | int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a forward pass's share of the mean loss per token of an optimizer step, and each example's summed loss.

    `n_tokens` counts the completion tokens of the whole step, so every token of the step has the same weight.
    """
    of_examples = token_losses(logits, labels).sum(1)
    return of_examples.sum() / n_tokens, of_examples.detach()
