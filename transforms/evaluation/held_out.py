"""Held-out loss: how surprising a model finds responses that people wrote, and its change from model to model.

A model's answers map the id of a held-out pair to the log-probability of its response, in nats, and the number of
tokens of that response. The loss is minus the log-probability per token.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from transforms.evaluation.figures import Figure, figure
from transforms.scoring.estimates import Floats

METHOD_VERSION = "held_out_loss/1"
EVALUATION = "held_out_loss"
SCORER = "likelihood_gain"
"""The scorer whose requests about the response after its instruction are sent."""


class Response(NamedTuple):
    """The log-probability of a response in nats, and its number of tokens, at least 1."""

    logprob: float
    tokens: int


Answers = Mapping[str, Response]
"""pair_id -> the response of that pair under one model."""


def losses(answers: Answers) -> Iterator[Figure]:
    """Yield a model's `loss`, in which each token counts once, and its `pair_loss`, in which each pair counts once.

    Nothing is yielded without answers.
    """
    items = tuple(sorted(answers))
    if items:
        model = _arrays(answers, items)
        yield figure("loss", partial(_loss, *model), items)
        yield figure("pair_loss", partial(_pair_loss, *model), items)


def changes(answers: Answers, before: Answers) -> Iterator[Figure]:
    """Yield `loss_change` and `pair_loss_change`, a model's loss minus that of the model before it.

    A negative change is a gain. Only pairs that both models answered count, and the bootstrap draws the same pairs
    for both, so that the difficulty of the pairs cancels.
    """
    items = tuple(sorted(answers.keys() & before.keys()))
    if items:
        new, old = _arrays(answers, items), _arrays(before, items)
        yield figure("loss_change", lambda weight: _loss(*new, weight) - _loss(*old, weight), items)
        yield figure("pair_loss_change", lambda weight: _pair_loss(*new, weight) - _pair_loss(*old, weight), items)


def _arrays(answers: Answers, items: tuple[str, ...]) -> tuple[Floats, Floats]:
    return (
        np.array([answers[item].logprob for item in items], dtype=float),
        np.array([answers[item].tokens for item in items], dtype=float),
    )


def _loss(logprob: Floats, tokens: Floats, weight: Floats | None = None) -> float:
    counts = np.ones(len(tokens)) if weight is None else weight
    return float(-(counts * logprob).sum() / (counts * tokens).sum())


def _pair_loss(logprob: Floats, tokens: Floats, weight: Floats | None = None) -> float:
    return float(np.average(-logprob / tokens, weights=weight))
