"""The diversity of an experiment's seed and curated sets, read from a `LakeView`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.current.counting import SEED_PAIRS
from jobs.lake.view import LakeView
from transforms.evaluation import diversity
from transforms.evaluation.diversity import SIZES, Verb
from transforms.scoring.estimates import Floats

MAX_TEXTS, MAX_CHARS = 5000, 4000
"""Pairs of a set that are read, drawn by hash, and characters of an instruction that are looked at."""
TEXTS = f"""
SELECT iteration, count(*) OVER (PARTITION BY iteration) AS n, substring(instruction, 1, {MAX_CHARS}) AS instruction,
       length(instruction) AS instruction_chars, length(response) AS response_chars
FROM (SELECT 0 AS iteration, instruction, response FROM ({SEED_PAIRS})
      UNION ALL SELECT iteration, instruction, response FROM gold.curated
                WHERE experiment = $experiment AND iteration = coalesce($iteration::INTEGER, iteration))
QUALIFY row_number() OVER (PARTITION BY iteration ORDER BY sha256(instruction || response)) <= {MAX_TEXTS}
ORDER BY iteration, instruction
"""


@dataclass(frozen=True)
class Quantiles:
    """A lower quantile, the median and an upper quantile."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Diversity:
    """The figures of one set of pairs."""

    iteration: int
    """0 for the seed."""
    n: int
    n_read: int
    """The pairs that the figures are of, at most `MAX_TEXTS`."""
    distinct: dict[int, float | None]
    """n -> distinct-n of the instructions."""
    distinct_equal: dict[int, float | None]
    """The same from as many n-grams as the smallest set has."""
    instruction: Quantiles
    """Quartiles of the length in characters."""
    response: Quantiles
    nearest: Quantiles
    """5 %, median and 95 % of the Jaccard similarity with the nearest seed instruction; for the seed, another one."""
    n_requests: int
    """Instructions with a root verb."""
    verbs: list[Verb]

    @property
    def name(self) -> str:
        """The name of the set, as the report shows it."""
        return f"curated, iteration {self.iteration}" if self.iteration else "seed"


def sets_of(view: LakeView, experiment: str, iteration: int | None = None) -> list[Diversity]:
    """Return the figures of the seed, if there is any, and of the curated set of one iteration or of each."""
    rows: dict[int, list[dict[str, object]]] = {}
    for row in view.rows(TEXTS, {"experiment": experiment, "iteration": iteration}):
        rows.setdefault(row["iteration"], []).append(row)
    texts = {t: [str(row["instruction"]) for row in found] for t, found in rows.items()}
    shares = {n: dict(zip(texts, diversity.distinct([*texts.values()], n), strict=True)) for n in SIZES}
    sets = []
    for t, found in rows.items():
        near = diversity.nearest(texts[t], texts.get(0, [])) if t else diversity.nearest_within(texts[0])
        requests = diversity.requests(texts[t])
        sets.append(
            Diversity(
                iteration=t,
                n=int(str(found[0]["n"])),
                n_read=len(found),
                distinct={n: shares[n][t][0] for n in SIZES},
                distinct_equal={n: shares[n][t][1] for n in SIZES},
                instruction=_quantiles([row["instruction_chars"] for row in found], 0.25),
                response=_quantiles([row["response_chars"] for row in found], 0.25),
                nearest=_quantiles(near, 0.05),
                n_requests=requests.total(),
                verbs=diversity.verbs(requests),
            )
        )
    return sets


def _quantiles(values: Sequence[object] | Floats, lowest: float) -> Quantiles:
    found = np.quantile(np.array(values, dtype=float), (lowest, 0.5, 1 - lowest), method="inverted_cdf")
    return Quantiles(*map(float, found))
