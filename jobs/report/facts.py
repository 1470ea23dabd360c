"""The numbers of the report, aggregated in DuckDB to small plain values; the corpus is never collected."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from jobs.current.counting import PAIRS, POOL, SEED_PAIRS, of_method, values
from jobs.current.notes import last_experiment, model_name, noted
from jobs.lake.view import LakeView, Row
from jobs.recipe.differences import differences
from schemas.silver import DUPLICATES, SEGMENTS
from transforms.pages.drop_reasons import DROP_REASONS

MAX_RUNS = 5000
KEPT = "kept"
RUNS = f"""
SELECT * FROM ops.runs WHERE experiment = $experiment AND job <> 'run' ORDER BY started_at DESC LIMIT {MAX_RUNS}
"""
MODELS = "SELECT * FROM ops.models WHERE experiment = $experiment ORDER BY direction, iteration, model_id"


@dataclass(frozen=True)
class Experiment:
    """The subject of the report: its current models by iteration, all its models, and its runs, oldest first."""

    name: str
    values: dict[str, Any]
    """The parameters of the queries in `counting`."""
    forward: dict[int, str]
    backward: dict[int, str]
    models: list[Row]
    runs: list[Row]


def experiment(view: LakeView, name: str | None = None) -> Experiment:
    """Read the experiment of that name, by default the one that ran last."""
    name = name or last_experiment(view) or "no experiment yet"
    runs = view.rows(RUNS, {"experiment": name})[::-1]
    models = view.rows(MODELS, {"experiment": name})
    notes = noted(view)
    current: dict[str, dict[int, str]] = {"forward": {}, "backward": {}}
    for model in models:
        if notes.get((name, model_name(model["direction"], model["iteration"]))) == model["model_id"]:
            current[model["direction"]][model["iteration"]] = model["model_id"]
    return Experiment(name, values(name, notes, **current), **current, models=models, runs=runs)


@dataclass(frozen=True)
class Stage:
    """One bar of the funnel: `n` rows passed, `of` rows before; `key` identifies the stage, `name` is shown."""

    key: str
    name: str
    n: int
    of: int | None = None


SIZES = f"""
SELECT (SELECT count(*) FROM bronze.documents) AS documents,
       (SELECT count(*) FROM ({of_method(DUPLICATES)})) AS repeats,
       (SELECT count(*) FROM ({POOL})) AS drawn, (SELECT count(*) FROM ({PAIRS})) AS pairs
"""
SCORED = f"""
SELECT model_id, count(DISTINCT pair_id) FROM silver.scores
WHERE status = 'ok' AND pair_id IN (SELECT pair_id FROM ({PAIRS})) GROUP BY 1
"""
CURATED = "SELECT iteration, count(*) FROM gold.curated WHERE experiment = $experiment GROUP BY 1"


def funnel(view: LakeView, subject: Experiment, pieces: dict[str, int]) -> list[Stage]:
    """Return the stages from documents to curated pairs; `pieces` is the result of `pieces_by_reason`."""
    [sizes] = view.rows(SIZES, subject.values)
    n_pieces, n_kept = sum(pieces.values()), pieces.get(KEPT, 0)
    n_unique = n_kept - sizes["repeats"]
    stages = [
        Stage("documents", "documents", sizes["documents"]),
        Stage("pieces", "pieces found", n_pieces),
        Stage("kept", "pieces kept", n_kept, n_pieces),
        Stage("unique", "unique pieces", n_unique, n_kept),
        Stage("unlabelled", "unlabelled set", sizes["drawn"], n_unique),
        Stage("candidates", "candidates", sizes["pairs"], sizes["drawn"]),
    ]
    curated, scored = (_counted(view, query, subject) for query in (CURATED, SCORED))
    scorers = {iteration + 1: model_id for iteration, model_id in subject.forward.items()}
    for iteration in sorted({t for t, model_id in scorers.items() if model_id in scored} | set(curated)):
        n_scored = scored.get(scorers.get(iteration), 0)
        stages.append(Stage(f"scored-{iteration}", f"scored, iteration {iteration}", n_scored, sizes["pairs"]))
        n_curated = curated.get(iteration, 0)
        stages.append(Stage(f"curated-{iteration}", f"curated, iteration {iteration}", n_curated, n_scored))
    return stages


def pieces_by_reason(view: LakeView, subject: Experiment) -> dict[str, int]:
    """Map each drop reason to its number of pieces, and `KEPT` to the number of kept ones."""
    reasons = f"SELECT coalesce(drop_reason, '{KEPT}') AS reason FROM ({of_method(SEGMENTS)})"
    return _counted(view, f"SELECT reason, count(*) FROM ({reasons}) GROUP BY 1", subject)


@dataclass(frozen=True)
class Rule:
    """The number of pieces that reached a rule, past all rules before it, and the number that it dropped."""

    name: str
    n_in: int
    n_dropped: int


def rules(pieces: dict[str, int]) -> list[Rule]:
    """Return the counts of every rule, in the order of application; `pieces` is the result of `pieces_by_reason`."""
    rule_counts, n_left = [], sum(pieces.values())
    for name in (*DROP_REASONS, *sorted(pieces.keys() - {*DROP_REASONS, KEPT})):  # the rules of older methods come last
        rule_counts.append(Rule(name, n_left, pieces.get(name, 0)))
        n_left -= rule_counts[-1].n_dropped
    return rule_counts


def replaced(view: LakeView, subject: Experiment) -> dict[str, int]:
    """Map each kind of personal data to its number of replacements in the kept pieces."""
    kinds = f"SELECT unnest(map_entries(replaced)) AS kind FROM ({of_method(SEGMENTS)})"
    return _counted(view, f"SELECT kind.key, sum(kind.value) FROM ({kinds}) GROUP BY 1 ORDER BY 1", subject)


RECIPE = "SELECT settings FROM ops.recipes WHERE recipe_digest = $digest"


def recipe(view: LakeView, subject: Experiment) -> Row | None:
    """Return the settings of the last run's recipe with their differences from the defaults.

    None without a run, or if a release of humpback without `ops.recipes` made the run.
    """
    digest = subject.runs[-1]["recipe_digest"] if subject.runs else None
    rows = view.rows(RECIPE, {"digest": digest})
    if not rows:
        return None
    settings = json.loads(rows[0]["settings"])
    return {"base_model": settings["base_model"], "settings": settings, "differences": differences(settings)}


def seed_pairs(view: LakeView, subject: Experiment) -> dict[str, int]:
    """Map each split to its number of seed pairs."""
    return _counted(view, f"SELECT split, count(*) FROM ({SEED_PAIRS}) GROUP BY 1 ORDER BY 1", subject)


def _counted(view: LakeView, query: str, subject: Experiment) -> dict[Any, int]:
    """Return the answer to a query for two columns, a key and a count, as a dictionary."""
    return {key: n for key, n in (row.values() for row in view.rows(query, subject.values))}


def accounts(runs: list[Row]) -> list[Row]:
    """Sum the rows in, passed, dropped and quarantined over all runs of each job; jobs in order of first run."""
    by_job: dict[str, Row] = {}
    for run in runs:
        if run["n_in"] == 0:
            continue
        empty: Row = {"n_in": 0, "n_out": 0, "dropped": Counter(), "quarantined": Counter()}
        account = by_job.setdefault(run["job"], {"job": run["job"], "unit": run["unit"], **empty})
        for count in ("n_in", "n_out"):
            account[count] += run[count]
        for counts in ("dropped", "quarantined"):
            account[counts].update(run[counts])
    return list(by_job.values())


def last_work(runs: list[Row]) -> list[Row]:
    """Return the runs of the last loop that wrote a table or called a model; empty if no loop did."""
    worked = [run for run in runs if run["version"] is not None or run["n_calls"]]
    return [run for run in runs if worked and run["loop_id"] == worked[-1]["loop_id"]]


def releases(view: LakeView, subject: Experiment) -> list[Row]:
    """Return the experiment's releases, newest first."""
    query = "SELECT * FROM ops.releases WHERE experiment = $experiment ORDER BY published_at DESC, release_id"
    return view.rows(query, subject.values)
