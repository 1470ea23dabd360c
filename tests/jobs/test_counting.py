"""DuckDB's queries for read-only commands and Spark's frames for jobs select the same current rows."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.current import counting, notes
from jobs.current.methods import Methods, of_method
from jobs.current.pairs import pairs
from jobs.current.pool import pool
from jobs.current.ratings import scores
from jobs.current.seed import seed_pairs
from jobs.lake.tables import Lake
from jobs.lake.view import LakeView
from jobs.report import facts, ratings
from model_ops.serving.model import Model
from schemas.silver import OVERLAPS, SCORES, SEGMENTS
from tests.jobs.synthetic_lake import BACKWARD, FORWARD, METHODS
from transforms.scoring.curation import Selection, select_curated

pytestmark = pytest.mark.spark
DEMO = Methods("demo", METHODS.__getitem__)


@pytest.fixture
def view(finished_root: str) -> Iterator[LakeView]:
    with LakeView(finished_root) as view:
        yield view


@pytest.fixture
def subject(view: LakeView) -> facts.Experiment:
    return facts.experiment(view)


def test_the_experiments_methods_and_models_are_those_of_its_runs(subject: facts.Experiment, view: LakeView) -> None:
    assert notes.noted(view) == {("demo", name): value for name, value in METHODS.items()}
    assert (subject.forward, subject.backward) == (dict(enumerate(FORWARD)), {0: BACKWARD})


def test_pool_seed_pairs_and_rows_of_a_method(finished_lake: Lake, view: LakeView, subject: facts.Experiment) -> None:
    to_rate = pairs(finished_lake, DEMO, BACKWARD).drop("origin", "parent_id")
    for query, frame in (
        (counting.POOL, pool(finished_lake, "demo")),
        (counting.SEED_PAIRS, seed_pairs(finished_lake, "demo")),
        (counting.PAIRS, to_rate),
        (counting.of_method(SEGMENTS), of_method(finished_lake, SEGMENTS, DEMO)),
    ):
        assert same(view.rows(query, subject.values), frame)


def test_scores_of_models(finished_lake: Lake, view: LakeView, subject: facts.Experiment) -> None:
    found = view.rows(counting.scores(SCORES), subject.values)
    each = [
        scores(
            finished_lake,
            SCORES,
            DEMO,
            {"forward": Model(m, "", "", ""), "backward": Model(BACKWARD, "", "", "")},
            names,
        )
        for m in FORWARD
        for names in [("likelihood_gain", "expected", "rubric")]
    ]
    assert same(found, each[0].union(each[1]).union(each[2]))
    assert len(found) < finished_lake.read(SCORES).count(), "some scores are from an older prompt"


@pytest.mark.parametrize("scorers", [["likelihood_gain"], ["rubric"], ["expected", "likelihood_gain"]])
def test_a_rejected_pair_has_the_reason_that_curation_gives(
    finished_lake: Lake, view: LakeView, subject: facts.Experiment, scorers: Sequence[str]
) -> None:
    digests, threshold = [METHODS[f"scores/{name}"] for name in scorers], 0.09 if len(scorers) == 1 else 0.5
    urls = pool(finished_lake, "demo").select("segment_id", "url")
    candidates = pairs(finished_lake, DEMO, BACKWARD).join(urls, "segment_id")
    [out, *_] = [row.segment_id for row in candidates.orderBy("pair_id").take(1)]
    overlaps = finished_lake.read(OVERLAPS).where("experiment = 'demo'").withColumn("segment_id", F.lit(out))
    by_spark = select_curated(
        candidates, finished_lake.read(SCORES), overlaps,
        Selection(scorers, {name: (FORWARD[1], digest) for name, digest in zip(scorers, digests, strict=True)}, threshold),
        experiment="demo", iteration=2, model_id=FORWARD[1],
    )  # fmt: skip
    newest = {
        "scorer": "+".join(scorers),
        "model_id": FORWARD[1],
        "method_digests": digests,
        "threshold": threshold,
        "iteration": 2,
    }
    query = ratings.JUDGED.replace(counting.OVERLAPS, "SELECT $out AS segment_id")
    found = view.rows(query, subject.values | ratings.curation(subject, newest) | {"out": out})
    columns = ["pair_id", "url", "score", "threshold", "drop_reason"]
    assert same([{name: row[name] for name in columns} for row in found], by_spark.select(*columns))
    assert {row["drop_reason"] for row in found} >= {"overlap", "below_threshold", None} - (
        {"below_threshold"} if scorers == ["rubric"] else set()
    )


def same(found: Sequence[dict[str, Any]], frame: DataFrame) -> bool:
    expected = [row.asDict(recursive=True) for row in frame.select(*found[0]).collect()]
    return sorted(map(shown, found)) == sorted(map(shown, expected))


def shown(row: dict[str, Any]) -> str:
    return repr({name: round(value, 12) if isinstance(value, float) else value for name, value in row.items()})
