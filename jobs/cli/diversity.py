"""`humpback diversity`: the diversity of the curated instructions, compared with the seed's."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from jobs.cli.printing import say, say_rows
from jobs.current.diversity import Diversity, Quantiles, sets_of
from jobs.current.notes import last_experiment
from jobs.errors import JobError
from jobs.lake.names import suggestion
from jobs.lake.rows import Rows
from jobs.lake.view import LakeView

CURATED = "SELECT DISTINCT experiment, iteration FROM gold.curated ORDER BY ALL"
SHARES = ("distinct_1", "distinct_2", "distinct_3", "equal_1", "equal_2", "equal_3")
FIGURES = ("set", "pairs", "read", *SHARES, "instruction", "response", "nearest_seed", "root_verbs")
VERBS = ("set", "root_verb", "instructions", "objects")


def run(view: LakeView, options: argparse.Namespace) -> None:
    """Print the figures of the seed and of the curated sets, then the most frequent root verbs of each."""
    experiment = options.experiment or last_experiment(view) or ""
    _require_curated(view, experiment, options.iteration)
    sets = sets_of(view, experiment, options.iteration)
    if options.json:
        say(json.dumps(_as_json(experiment, one)) for one in sets)
        return
    say_rows(Rows(FIGURES, map(_figures, sets)), as_json=False)
    say([""])
    say_rows(Rows(VERBS, _verbs(sets)), as_json=False)


def _require_curated(view: LakeView, experiment: str, iteration: int | None) -> None:
    curated: dict[str, list[int]] = {}
    for row in view.rows(CURATED):
        curated.setdefault(row["experiment"], []).append(row["iteration"])
    if not curated:
        raise JobError(f"{view.root}: gold.curated has no rows; run `humpback curate`, or the whole loop, first")
    if experiment not in curated:
        others = suggestion(experiment, curated) or f"; it has those of {', '.join(curated)}"
        raise JobError(f"{view.root}: gold.curated has no rows of experiment {experiment or '(none has run)'}{others}")
    if iteration is not None and iteration not in curated[experiment]:
        found = ", ".join(map(str, curated[experiment]))
        raise JobError(
            f"{view.root}: gold.curated has no rows of {experiment} of iteration {iteration}; it has iterations {found}"
        )


def _figures(one: Diversity) -> Sequence[Any]:
    shares = [
        None if share is None else round(share, 3) for share in (*one.distinct.values(), *one.distinct_equal.values())
    ]
    lengths = [_shown(quantiles, ".0f") for quantiles in (one.instruction, one.response)]
    requests = f"{100 * one.n_requests / one.n_read:.0f} %"
    return [one.name, one.n, one.n_read, *shares, *lengths, _shown(one.nearest, ".2f"), requests]


def _shown(quantiles: Quantiles, style: str) -> str:
    return " / ".join(format(value, style) for value in (quantiles.low, quantiles.median, quantiles.high))


def _verbs(sets: Sequence[Diversity]) -> Iterator[Sequence[Any]]:
    for one in sets:
        for verb in one.verbs:
            yield one.name, verb.name, verb.n, ", ".join(f"{name} {n}" for name, n in verb.objects)


def _as_json(experiment: str, one: Diversity) -> dict[str, Any]:
    verbs = [{"verb": verb.name, "instructions": verb.n, "objects": dict(verb.objects)} for verb in one.verbs]
    return {"experiment": experiment, "set": one.name} | asdict(one) | {"verbs": verbs}
