"""SQL for the current rows of an experiment in a `LakeView`: the counterpart, without Spark, of `pool` and `pairs`.

`tests/jobs/test_counting.py` compares the two.
"""

from typing import Any

from jobs.current.notes import BASE, NONE, Notes, evaluation_method, methods_of_table, scorer_method
from schemas import TABLES
from schemas.table import Table
from transforms.scoring.scorers import SCORERS

POOL = "SELECT * FROM silver.unlabelled WHERE experiment = $experiment"
SEED_PAIRS = "SELECT * FROM silver.seed_pairs WHERE experiment = $experiment"
OVERLAPS = "SELECT * FROM silver.overlaps WHERE experiment = $experiment"
PAIRS = f"""
SELECT candidate_id AS pair_id, segment_id, instruction, response FROM silver.candidates
WHERE method_digest IN (SELECT unnest($silver_candidates::VARCHAR[])) AND model_id = $backward
  AND segment_id IN (SELECT segment_id FROM ({POOL}))
"""
"""The pairs to rate."""


EVALUATIONS = """
SELECT * FROM gold.evaluations
WHERE experiment = $experiment AND (evaluation, method_digest) IN
      (SELECT unnest($evaluations::VARCHAR[]), unnest($evaluation_digests::VARCHAR[]))
QUALIFY row_number() OVER (PARTITION BY evaluation, metric, model_id, reference_id, judge_id
                           ORDER BY n DESC, figure_id) = 1
"""
"""The figures about the experiment's models, each from the most answers; see `evaluations`."""


def of_method(table: Table) -> str:
    """Return SQL for the rows of a table that the current method made."""
    return f"SELECT * FROM {table.name} WHERE method_digest IN (SELECT unnest(${_digest(table)}::VARCHAR[]))"


def scores(table: Table) -> str:
    """Return SQL for the rows of a table of scores that the experiment's models and current methods made."""
    return f"""
    SELECT * FROM {table.name}
    WHERE model_id IN (SELECT unnest($models::VARCHAR[]))
      AND (scorer, method_digest) IN (SELECT unnest($scorers::VARCHAR[]), unnest($score_digests::VARCHAR[]))
    """


def values(experiment: str, notes: Notes, forward: dict[int, str], backward: dict[int, str]) -> dict[str, Any]:
    """Return the parameters of these queries; `forward` and `backward` map iterations to current model ids."""
    of_tables = {
        _digest(table): methods_of_table(notes, experiment, table.name)
        for table in TABLES
        if "method_digest" in table.columns
    }
    named = {
        name.removeprefix(evaluation_method("")): digest
        for (of, name), digest in notes.items()
        if of == experiment and name.startswith(evaluation_method(""))
    }
    return of_tables | {
        "experiment": experiment,
        "backward": backward.get(0, NONE),
        "base": notes.get((experiment, BASE), NONE),
        "evaluations": [*named],
        "evaluation_digests": [*named.values()],
        "models": [*forward.values(), *backward.values()],
        "scorers": [*SCORERS],
        "score_digests": [notes.get((experiment, scorer_method(name)), NONE) for name in SCORERS],
    }


def _digest(table: Table) -> str:
    return table.name.replace(".", "_")
