"""Loss on the completion only, with logits computed at its positions only."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from model_ops.training.dataset import Example

IGNORED = -100


def collate(examples: Sequence[Example], pad: int) -> dict[str, Any]:
    """Build a batch, padded on the left so that all completions end at its right edge.

    The last token predicts nothing and is left out. `logits_to_keep` is the length of the longest
    completion: the model computes logits at that number of positions at the end of each row.
    `labels` are the tokens that those positions should predict. `ids` names the examples, for messages, and
    `owners` has the example of each row.
    """
    width = max(len(e) for e in examples) - 1
    keep = max(len(e.completion) for e in examples)
    ids = torch.full((len(examples), width), pad)
    mask = torch.zeros((len(examples), width), dtype=torch.long)
    labels = torch.full((len(examples), keep), IGNORED)
    for row, example in enumerate(examples):
        tokens = torch.tensor([*example.prompt, *example.completion])
        ids[row, width - len(example) + 1 :] = tokens[:-1]
        mask[row, width - len(example) + 1 :] = 1
        labels[row, keep - len(example.completion) :] = torch.tensor(example.completion)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
        "use_cache": False,
        "labels": labels,
        "logits_to_keep": keep,
        "ids": [example.example_id for example in examples],
        "owners": torch.arange(len(examples))[:, None].expand_as(labels),
    }


def pack(examples: Sequence[Example]) -> dict[str, Any]:
    """Build one row of all examples without padding; attention does not cross them.

    The positions of each example begin at 0, by which transformers recognises packed rows and separates
    their attention. `logits_to_keep` holds the positions that predict completion tokens, `labels` those tokens,
    and `owners` the example of each.
    """
    tokens = [[*e.prompt, *e.completion][:-1] for e in examples]
    starts = [0]
    for of_example in tokens:
        starts.append(starts[-1] + len(of_example))
    keep = [
        torch.arange(start + len(e.prompt) - 1, end) for e, (start, end) in zip(examples, pairwise(starts), strict=True)
    ]
    return {
        "input_ids": torch.tensor([[token for of_example in tokens for token in of_example]]),
        "position_ids": torch.cat([torch.arange(len(of_example)) for of_example in tokens])[None],
        "use_cache": False,
        "labels": torch.tensor([[token for e in examples for token in e.completion]]),
        "logits_to_keep": torch.cat(keep),
        "ids": [example.example_id for example in examples],
        "owners": torch.tensor([[i for i, e in enumerate(examples) for _ in e.completion]]),
    }


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the negative log-likelihood of each completion token in nats, 0 elsewhere; shape (rows, positions)."""
    losses = cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none")
    return losses.view(labels.shape)


def sums_by_example(losses: torch.Tensor, owners: torch.Tensor, n_examples: int) -> torch.Tensor:
    """Sum the tokens' losses of each example; `owners` has the example of each token, from 0."""
    sums = torch.zeros(n_examples, device=losses.device)
    return sums.index_add_(0, owners.flatten(), losses.detach().flatten())
