"""The numbers of the report, gathered by Spark as small plain values: the corpus is never collected."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current.methods import Methods, of_method
from jobs.current.models import model_name
from jobs.current.notes import NONE, last_noted
from jobs.current.pairs import pairs
from jobs.current.pool import pool
from jobs.current.seed import seed_pairs as pairs_of_seed
from jobs.lake.runs import LOOP
from jobs.lake.tables import Lake
from schemas.bronze import DOCUMENTS
from schemas.gold import CURATED
from schemas.ops import MODELS, RELEASES, RUNS
from schemas.silver import DUPLICATES, SCORES, SEGMENTS
from transforms.pages.segments import DROP_REASONS

MAX_RUNS = 5000
KEPT = "kept"
Row = dict[str, Any]


def rows(frame: DataFrame) -> list[Row]:
    """The frame's rows as plain dicts; for frames that are small by construction."""
    return [row.asDict(recursive=True) for row in frame.collect()]


@dataclass(frozen=True)
class Experiment:
    """What the report is about: the methods and models that count, by its runs' notes, and the runs, oldest first."""

    name: str
    methods: Methods
    forward: dict[int, str]
    backward: dict[int, str]
    models: list[Row]
    runs: list[Row]

    def pairs(self, lake: Lake) -> DataFrame:
        """The pairs that are rated."""
        return pairs(lake, self.methods, self.backward.get(0, NONE))


def experiment(lake: Lake, name: str | None = None) -> Experiment:
    """The experiment of that name, or the one that ran last."""
    if name is None:
        last = lake.read(RUNS).where("experiment <> ''").orderBy(F.desc("started_at")).select("experiment").first()
        name = last.experiment if last else "no experiment yet"
    mine = lake.read(RUNS).where((F.col("experiment") == name) & (F.col("job") != LOOP))
    runs = rows(mine.orderBy(F.desc("started_at")).limit(MAX_RUNS))[::-1]
    notes = last_noted(rows(lake.read(RUNS).where("status = 'ok'")))
    methods = Methods(name, lambda method: notes.get((name, method), NONE))
    models = rows(lake.read(MODELS).where(F.col("experiment") == name).orderBy("direction", "iteration", "model_id"))
    current: dict[str, dict[int, str]] = {"forward": {}, "backward": {}}
    for model in models:
        if methods[model_name(model["direction"], model["iteration"])] == model["model_id"]:
            current[model["direction"]][model["iteration"]] = model["model_id"]
    return Experiment(name, methods, current["forward"], current["backward"], models, runs)


@dataclass(frozen=True)
class Stage:
    """One bar of the funnel: how many of what passed, of how many before; `key` names the stage, `name` is shown."""

    key: str
    name: str
    n: int
    of: int | None = None


def funnel(lake: Lake, subject: Experiment, pieces: dict[str, int]) -> list[Stage]:
    """Documents to curated pairs. `pieces` is what `pieces_by_reason` gave."""
    mine = F.col("experiment") == subject.name
    n_pieces, n_kept = sum(pieces.values()), pieces.get(KEPT, 0)
    n_unique = n_kept - of_method(lake, DUPLICATES, subject.methods).count()
    n_drawn = pool(lake, subject.name).count()
    rated = subject.pairs(lake).select("pair_id")
    n_pairs = rated.count()
    stages = [
        Stage("documents", "documents", lake.read(DOCUMENTS).count()),
        Stage("pieces", "pieces found", n_pieces),
        Stage("kept", "pieces kept", n_kept, n_pieces),
        Stage("unique", "unique pieces", n_unique, n_kept),
        Stage("unlabelled", "unlabelled set", n_drawn, n_unique),
        Stage("candidates", "candidates", n_pairs, n_drawn),
    ]
    curated = _counted(lake.read(CURATED).where(mine), "iteration")
    scores = lake.read(SCORES).where("status = 'ok'").join(rated, "pair_id", "left_semi")
    scored = _counted(scores.select("model_id", "pair_id").distinct(), "model_id")
    scorers = {iteration + 1: model_id for iteration, model_id in subject.forward.items()}
    for iteration in sorted({t for t, model_id in scorers.items() if model_id in scored} | set(curated)):
        n_scored = scored.get(scorers.get(iteration), 0)
        stages.append(Stage(f"scored-{iteration}", f"scored, iteration {iteration}", n_scored, n_pairs))
        n_curated = curated.get(iteration, 0)
        stages.append(Stage(f"curated-{iteration}", f"curated, iteration {iteration}", n_curated, n_scored))
    return stages


def pieces_by_reason(lake: Lake, subject: Experiment) -> dict[str, int]:
    """Why pieces were dropped -> how many; `KEPT` counts the kept ones."""
    pieces = of_method(lake, SEGMENTS, subject.methods)
    return _counted(pieces.withColumn("drop_reason", F.coalesce("drop_reason", F.lit(KEPT))), "drop_reason")


@dataclass(frozen=True)
class Rule:
    """How many pieces came to a rule, past all rules before it, and how many of them it dropped."""

    name: str
    n_in: int
    n_dropped: int


def rules(pieces: dict[str, int]) -> list[Rule]:
    """Every rule on pieces, in the order in which they apply. `pieces` is what `pieces_by_reason` gave."""
    found, n_left = [], sum(pieces.values())
    for name in (*DROP_REASONS, *sorted(pieces.keys() - {*DROP_REASONS, KEPT})):  # an older method's come last
        found.append(Rule(name, n_left, pieces.get(name, 0)))
        n_left -= found[-1].n_dropped
    return found


def replaced(lake: Lake, subject: Experiment) -> dict[str, int]:
    """Kind of personal data -> how many were replaced in the kept pieces."""
    kinds = of_method(lake, SEGMENTS, subject.methods).select(F.explode("replaced").alias("kind", "n"))
    return {row.kind: row.n for row in kinds.groupBy("kind").agg(F.sum("n").alias("n")).orderBy("kind").collect()}


def _counted(frame: DataFrame, column: str) -> dict[Any, int]:
    return {row[0]: row[1] for row in frame.groupBy(column).agg(F.count("*")).collect()}


def seed_pairs(lake: Lake, subject: Experiment) -> dict[str, int]:
    """Split -> number of seed pairs."""
    return _counted(pairs_of_seed(lake, subject.name), "split")


def accounts(runs: list[Row]) -> list[Row]:
    """What went in, passed, was dropped and was quarantined, by job, over all its runs, in order of work."""
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
    """The runs of the last loop that wrote anything or called a model; none where no loop did."""
    worked = [run for run in runs if run["version"] is not None or run["n_calls"]]
    return [run for run in runs if worked and run["loop_id"] == worked[-1]["loop_id"]]


def releases(lake: Lake, subject: Experiment) -> list[Row]:
    """What the experiment has published, newest first."""
    mine = lake.read(RELEASES).where(F.col("experiment") == subject.name)
    return rows(mine.orderBy(F.desc("published_at"), "release_id"))
