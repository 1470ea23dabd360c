"""Write-audit-publish: rows that pass are released, rows that fail never reach the gold table."""

import pytest
from deltalake import DeltaTable

from jobs import build_training_examples, curate
from jobs.errors import JobError, StoppedError
from jobs.lake.publish import digest_of, newest_release, publish
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from schemas.content_digest import content_digest
from schemas.gold import CURATED, TRAINING_EXAMPLES
from schemas.ops import RELEASES
from schemas.silver import SEED_PAIRS
from tests.conftest import OpenLake, RunJob

pytestmark = pytest.mark.spark

SLICE = {"experiment": "test", "iteration": 1}


def rows(lake: RunLake, *scores: float, threshold: float = 4.5):  # type: ignore[no-untyped-def]
    values = [
        (
            "test",
            1,
            f"c{i}",
            f"i{i}",
            f"r{i} é",
            "backtranslated",
            s,
            "rubric",
            "m",
            ["d"],
            threshold,
            f"s{i}",
            "u",
            None,
        )
        for i, s in enumerate(scores)
    ]
    schema = ", ".join(f"{f.name} {f.dataType.simpleString()}" for f in CURATED.schema) + ", drop_reason string"
    return lake.spark.createDataFrame(values, schema)


def test_other_engines_read_a_released_version_identically(open_lake: OpenLake) -> None:
    lake = open_lake(curate)
    release = publish(lake, CURATED, rows(lake, 5.0, 4.75, 1 / 3 + 4.4), slice=SLICE, iteration=1, min_rows=1)
    assert newest_release(lake, CURATED, SLICE) == release
    outside = DeltaTable(lake.path(CURATED), version=release.version).to_pyarrow_table()
    assert content_digest(outside.to_batches()) == (release.n_rows, release.content_digest)
    noted = lake.read(RELEASES).first()
    assert noted is not None
    assert (lake.folder("reports").parent / noted.expectations_report).is_file()


def test_the_digest_does_not_depend_on_order_or_partitions(open_lake: OpenLake) -> None:
    lake = open_lake(curate)
    some = rows(lake, 5.0, 4.6, 4.7).drop("drop_reason")
    assert digest_of(some.repartition(3)) == digest_of(some.orderBy("score").coalesce(1))
    assert digest_of(some) != digest_of(some.limit(2))


def test_the_same_rows_are_not_published_twice(open_lake: OpenLake) -> None:
    lake = open_lake(curate)
    first = publish(lake, CURATED, rows(lake, 5.0), slice=SLICE, iteration=1, min_rows=1)
    later = open_lake(curate)
    assert publish(later, CURATED, rows(later, 5.0), slice=SLICE, iteration=1, min_rows=1) == first
    assert later.run.version is None
    assert later.read(RELEASES).count() == 1


def test_the_same_number_of_other_rows_is_another_release(open_lake: OpenLake) -> None:
    lake = open_lake(curate)
    first = publish(lake, CURATED, rows(lake, 5.0), slice=SLICE, iteration=1, min_rows=1)
    second = publish(lake, CURATED, rows(lake, 4.75), slice=SLICE, iteration=1, min_rows=1)
    assert (second.n_rows, second.version) == (first.n_rows, first.version + 1)
    assert lake.read(RELEASES).count() == 2


def test_unreleased_rows_are_replaced(open_lake: OpenLake) -> None:
    """A run was killed between its commit and its release; then the recipe produces the earlier rows again."""
    lake = open_lake(curate)
    publish(lake, CURATED, rows(lake, 5.0), slice=SLICE, iteration=1, min_rows=1)
    lake.write(CURATED, rows(lake, 4.75), slice=SLICE)  # the same number of rows
    again = publish(lake, CURATED, rows(lake, 5.0), slice=SLICE, iteration=1, min_rows=1)
    assert [row.score for row in lake.read(CURATED).collect()] == [5.0]
    assert again.version == lake.version(CURATED)
    assert newest_release(lake, CURATED, SLICE) == again


def test_a_broken_critical_expectation_publishes_nothing(open_lake: OpenLake) -> None:
    lake = open_lake(curate)
    with pytest.raises(
        StoppedError, match=r"nothing published, 1 expectations failed on 2 staged rows.*score_at_threshold"
    ):
        publish(lake, CURATED, rows(lake, 5.0, 3.0), slice=SLICE, iteration=1, min_rows=1)
    assert not lake.exists(CURATED)
    assert not lake.exists(RELEASES)


def test_too_few_rows_publish_nothing(open_lake: OpenLake) -> None:
    lake = open_lake(curate)
    with pytest.raises(StoppedError, match="row_count"):
        publish(lake, CURATED, rows(lake, 5.0), slice=SLICE, iteration=1, min_rows=2)


def test_unreleased_commits_are_not_trained_on(open_lake: OpenLake, run_job: RunJob) -> None:
    lake = open_lake(curate)
    seed = ("test", "p", "Q?", "An answer.", "en", "s", None, "train")
    lake.write(SEED_PAIRS, lake.spark.createDataFrame([seed], SEED_PAIRS.schema))
    recipe = Recipe.model_validate({"name": "test", "base_model": "b"})
    with pytest.raises(JobError, match="no release of iteration 1; run `humpback curate --iteration 1` first"):
        run_job(build_training_examples, recipe, direction="forward", iteration=1)
    publish(lake, CURATED, rows(lake, 5.0), slice=SLICE, iteration=1, min_rows=1)
    lake.write(CURATED, rows(lake, 5.0, 4.9), slice=SLICE)  # by a run that was killed before it could release it
    run_job(build_training_examples, recipe, direction="forward", iteration=1)
    assert sorted(row.source_id for row in lake.read(TRAINING_EXAMPLES).collect()) == ["c0", "p"]


def test_a_raised_threshold_removes_rows(open_lake: OpenLake) -> None:
    lake = open_lake(curate)
    publish(lake, CURATED, rows(lake, 5.0, 4.6), slice=SLICE, iteration=1, min_rows=1)
    second = publish(open_lake(curate), CURATED, rows(lake, 5.0), slice=SLICE, iteration=1, min_rows=1)
    assert second.n_rows == 1
    assert lake.read(CURATED).count() == 1
