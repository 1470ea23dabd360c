"""Measure each scorer of each model on pairs of known quality."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.scoring import estimates
from transforms.scoring.estimates import Bools, Estimate, Floats, estimate
from transforms.scoring.known_pairs import TRUE

ALL_BAD = "all bad"
LEAST_KEPT = 10  # pairs that a threshold must keep: the highest score may belong to a good pair by chance
Rating = tuple[str, str, str, float]
"""pair_id of a known pair, scorer, model_id, score."""


@dataclass(frozen=True)
class Measure:
    """One figure of a scorer under a model: its name (`auc`, `precision`, ...), its condition `of`, and `n` pairs."""

    scorer: str
    model_id: str
    measure: str
    of: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None


# The paper's ablation of curators, 7B, 250 labelled pairs: its M0 and M1 with the rubric.
PAPER = tuple(
    Measure("rubric", f"paper, M{iteration}", measure, "at 4.5", value, n=250)
    for iteration, figures in ((0, {"precision": 0.44, "recall": 0.09}), (1, {"precision": 0.52, "recall": 0.44}))
    for measure, value in figures.items()
)


@dataclass(frozen=True)
class Known:
    """Known pairs and one score for each, as arrays of one length; `truth` is true for a good pair."""

    kind: NDArray[np.str_]
    group: NDArray[np.str_]
    score: Floats

    @property
    def truth(self) -> Bools:
        """Mask of the good pairs."""
        return np.asarray(self.kind == TRUE)

    def where(self, mask: Bools) -> "Known":
        """Return the pairs that `mask` selects."""
        return Known(self.kind[mask], self.group[mask], self.score[mask])


def known(ratings: Mapping[str, float]) -> Known:
    """Build arrays from `pair_id` -> score; `known_pairs` describes the ids."""
    parts = [pair_id.split("/") for pair_id in ratings]
    return Known(np.array([p[2] for p in parts]), np.array([p[3] for p in parts]), np.array([*ratings.values()]))


def measures(ratings: Iterable[Rating], *, thresholds: Mapping[str, float], target: float) -> Iterator[Measure]:
    """Yield all figures for each scorer and model that rated both good and bad pairs.

    AUC against each kind of bad pair and all of them; precision, recall and F1 at the scorer's
    threshold in `thresholds`, or on one half of the pairs at the best threshold of the other; calibration;
    the lowest threshold whose precision on one half reaches `target`, with its figures on the other half.
    """
    by_judge: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for pair_id, scorer, model_id, score in ratings:
        by_judge[scorer, model_id][pair_id] = score
    for (scorer, model_id), scores in by_judge.items():
        pairs = known(scores)
        if len(set(pairs.truth)) == 2:
            measure = partial(Measure, scorer, model_id)
            for kind, subset in against(pairs):
                estimated = estimate(partial(estimates.auc, subset.score, subset.truth), subset.group)
                yield measure("auc", kind, estimated.value, estimated.low, estimated.high, len(subset.score))
            yield from _at_threshold(measure, pairs, thresholds.get(scorer))
            for place, share in enumerate(estimates.shares(pairs.score, pairs.truth, pairs.group), 1):
                yield measure("share of good pairs", f"fifth {place} of the scores", share)
            yield from _for_precision(measure, pairs, target)


def against(pairs: Known) -> Iterator[tuple[str, Known]]:
    """Yield the good pairs with the bad pairs of each kind, and with all bad pairs if there are several kinds."""
    kinds = [str(kind) for kind in np.unique(pairs.kind[~pairs.truth])]
    for kind in kinds:
        yield kind, pairs.where(pairs.truth | (pairs.kind == kind))
    if len(kinds) > 1:
        yield ALL_BAD, pairs


def _for_precision(measure: Any, pairs: Known, target: float) -> Iterator[Measure]:
    chosen, others = _halves(pairs)
    which, lowest = f"for precision {target:g}", None
    if chosen and others:
        lowest = estimates.threshold_for(chosen.score, chosen.truth, target, LEAST_KEPT)
    yield measure("threshold", which, lowest, n=len(chosen.score) if chosen else 0)
    if chosen and others and lowest is not None:
        for name, figure in (("precision", estimates.precision), ("recall", estimates.recall)):
            estimated = estimate(partial(figure, others.score, others.truth, lowest), others.group)
            yield measure(
                name, f"on the other half, {which}", estimated.value, estimated.low, estimated.high, len(others.score)
            )


def _halves(pairs: Known) -> tuple[Known | None, Known | None]:
    """Split the pairs into a half to choose on and one to measure on; None for a half without both good and bad."""
    half = first_half(pairs.group)
    both = (pairs.where(half), pairs.where(~half))
    chosen, others = (part if len(set(part.truth)) == 2 else None for part in both)
    return chosen, others


def _at_threshold(measure: Any, pairs: Known, threshold: float | None) -> Iterator[Measure]:
    how = "at"
    if threshold is None:
        chosen, others = _halves(pairs)
        if not chosen or not others:
            return
        pairs = others
        threshold, how = estimates.best_threshold(chosen.score, chosen.truth), "on one half, chosen on the other, at"
    for name, figure in (("precision", estimates.precision), ("recall", estimates.recall), ("f1", estimates.f1)):
        estimated = estimate(partial(figure, pairs.score, pairs.truth, threshold), pairs.group)
        yield measure(name, f"{how} {threshold:.3g}", estimated.value, estimated.low, estimated.high, len(pairs.score))


def first_half(group: NDArray[np.str_]) -> Bools:
    """Return the mask of the half to choose on, by hash of the group: versions of one pair stay together."""
    return np.array([hashlib.sha256(name.encode()).digest()[0] < 128 for name in group])


def combined(ratings: Sequence[Rating]) -> list[Measure]:
    """Return the figures of the best combination of scorers, chosen on one half of the pairs, measured on the other."""
    by_scorer: dict[str, dict[str, float]] = {}
    models = {}
    for pair_id, scorer, model_id, score in ratings:
        by_scorer.setdefault(scorer, {})[pair_id] = score
        models[scorer] = model_id
    best = best_combination(by_scorer)
    if best is None:
        return []
    name, half = "+".join(best.scorers), "all bad, on one half, chosen on the other"
    return [
        Measure(scorer, models[best.single], "auc", of, e.value, e.low, e.high, best.n)
        for scorer, of, e in (
            (name, half, best.auc),
            (best.single, half, best.single_auc),
            (name, f"gain over {best.single}", best.gain),
        )
    ]


@dataclass(frozen=True)
class Combination:
    """The best combination of scorers and the best single one, chosen on one half, with figures on the other half."""

    scorers: tuple[str, ...]
    single: str
    auc: Estimate
    single_auc: Estimate
    gain: Estimate
    n: int


def best_combination(scores: Mapping[str, Mapping[str, float]]) -> Combination | None:
    """Return the best combination of two or more scorers (scorer -> pair_id -> score) against all bad pairs.

    None for fewer than two scorers, or if the pairs that all rated are not both good and bad in each half.
    """
    if len(scores) < 2:
        return None
    shared = sorted(set.intersection(*(set(of) for of in scores.values())))
    pairs = {scorer: known({pair_id: of[pair_id] for pair_id in shared}) for scorer, of in scores.items()}
    first = next(iter(pairs.values()))
    half = first_half(first.group) if shared else np.array([], dtype=bool)
    if min(len(set(first.truth[half])), len(set(first.truth[~half]))) < 2:
        return None

    def rank(names: Sequence[str], mask: Bools) -> Floats:
        return estimates.mean_rank([pairs[name].score[mask] for name in names])

    def chosen(choices: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
        return max(choices, key=lambda names: estimates.auc(rank(names, half), first.truth[half]))

    names = sorted(pairs)
    combination = chosen(c for size in range(2, len(names) + 1) for c in combinations(names, size))
    single = chosen((name,) for name in names)
    other, truth, group = ~half, first.truth[~half], first.group[~half]
    combination_ranks, single_ranks = rank(combination, other), rank(single, other)
    return Combination(
        combination,
        single[0],
        estimate(partial(estimates.auc, combination_ranks, truth), group),
        estimate(partial(estimates.auc, single_ranks, truth), group),
        estimate(lambda w: estimates.auc(combination_ranks, truth, w) - estimates.auc(single_ranks, truth, w), group),
        len(truth),
    )
