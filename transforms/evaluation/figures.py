"""Figures about models with bootstrap intervals, and those that follow from ratings and verdicts without a request."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from transforms.scoring.estimates import Floats, auc, estimate
from transforms.scoring.judge_check import ALL_BAD
from transforms.scoring.known_pairs import TRUE, kind_of

METHOD_VERSION = "figures/1"


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval and the ids of the items that it is computed from."""

    metric: str
    value: float
    low: float
    high: float
    items: tuple[str, ...]


def figure(
    metric: str,
    statistic: Callable[[Floats | None], float],
    items: tuple[str, ...],
    groups: Sequence[str] | None = None,
) -> Figure:
    """Estimate a statistic of the weighted items, with an interval that holds the value.

    Items of one group are drawn together; by default each item is a group. With few items, or by rounding, the
    bootstrap's interval may miss the value.
    """
    found = estimate(statistic, np.array(items if groups is None else groups))
    return Figure(metric, found.value, min(found.low, found.value), max(found.high, found.value), items)


def separations(scores: Mapping[str, float]) -> Iterator[Figure]:
    """Yield the AUC of the true known pairs (`pair_id` -> score) against each kind of spoilt ones, and against all.

    Nothing is yielded for a kind unless there are true pairs too.
    """
    of_kind: dict[str, list[str]] = {}
    for pair_id in sorted(scores):
        of_kind.setdefault(kind_of(pair_id), []).append(pair_id)
    good = of_kind.pop(TRUE, [])
    against = of_kind | ({ALL_BAD: [i for ids in of_kind.values() for i in ids]} if len(of_kind) > 1 else {})
    for kind, bad in against.items() if good else ():
        score = np.array([scores[pair_id] for pair_id in (*good, *bad)])
        truth = np.arange(len(score)) < len(good)
        groups = [pair_id.split("/")[3] for pair_id in (*good, *bad)]
        yield figure(f"auc/{kind}", partial(auc, score, truth), (*good, *bad), groups)


def win_rates(preferences: Mapping[str, float]) -> Iterator[Figure]:
    """Yield the share of prompts (`prompt_id` -> preference from 1 to 2) that a model wins; a draw counts half."""
    items = tuple(sorted(preferences))
    if items:
        wins = np.array([preferences[item] - 1 for item in items])
        yield figure("win_rate", lambda weight: float(np.average(wins, weights=weight)), items)
