"""A job reads only the rows added since its bookmark, and all rows if the bookmark is not valid."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from jobs import sign_segments
from jobs.current.bookmarks import news
from jobs.current.methods import methods_of
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Step
from schemas.ops import RUNS
from schemas.silver import SEGMENTS, SIGNATURES
from tests.conftest import OpenLake
from tests.planted import plant

pytestmark = pytest.mark.spark

RECIPE = Recipe.model_validate({"name": "test", "base_model": "x"})
OTHER = Recipe.model_validate({"name": "test", "base_model": "x", "sign_segments": {"bands": 3}})


def add(lake: RunLake, *names: str) -> None:
    """Append kept segments in one commit."""
    plant(lake.root, SEGMENTS, [{
        "method_digest": methods_of(RECIPE)[SEGMENTS.name], "segment_id": name, "document_id": name, "url": "u",
        "position": 0, "header": "h", "header_level": 1, "header_path": [], "text": f"A text about {name}.", "n_chars": 9,
        "language": "en", "language_score": 1.0, "replaced": {}, "drop_reason": None,
    } for name in names])  # fmt: skip


@pytest.fixture
def sign(open_lake: OpenLake) -> Callable[..., int]:
    """Return a function that runs sign-segments and returns the number of signed segments.

    A killed run leaves no row in `ops.runs`.
    """

    def signed(recipe: Recipe = RECIPE, limit: int | None = None, killed: bool = False) -> int:
        lake = open_lake(sign_segments)
        sign_segments.run(lake, recipe, Step(sign_segments, limit=limit))
        if not killed:
            plant(lake.root, RUNS, [lake.run.row("ok")])
        return lake.run.n_out

    return signed


def rows_to_read(open_lake: OpenLake, recipe: Recipe = RECIPE) -> list[str]:
    """Return the ids of the segments that the next run would read."""
    method = methods_of(recipe)[SIGNATURES.name]
    rows = news(open_lake(sign_segments), SEGMENTS, SIGNATURES, method, is_all=True).source
    return sorted(row.segment_id for row in rows.collect())


def test_a_run_reads_only_rows_added_since_the_last_run(open_lake: OpenLake, sign: Callable[..., int]) -> None:
    lake = open_lake()
    add(lake, "a", "b")
    assert rows_to_read(open_lake) == ["a", "b"]
    assert (sign(), rows_to_read(open_lake)) == (2, [])
    add(lake, "c")
    add(lake, "d", "e")
    since = news(open_lake(sign_segments), SEGMENTS, SIGNATURES, methods_of(RECIPE)[SIGNATURES.name], is_all=True)
    assert len(since.source.inputFiles()) == 2, "only the files of the two commits"
    assert rows_to_read(open_lake) == ["c", "d", "e"]
    assert (sign(), sign(), rows_to_read(open_lake)) == (3, 0, [])
    assert lake.read(SIGNATURES).count() == 5


def test_a_changed_method_reads_all_rows(open_lake: OpenLake, sign: Callable[..., int]) -> None:
    add(open_lake(), "a", "b")
    sign()
    assert rows_to_read(open_lake, OTHER) == ["a", "b"]
    assert (sign(OTHER), sign(OTHER), sign()) == (2, 0, 0)


def test_a_killed_run_and_one_with_a_limit_leave_no_bookmark(open_lake: OpenLake, sign: Callable[..., int]) -> None:
    lake = open_lake()
    add(lake, "a", "b", "c")
    assert sign(limit=1) == 1
    assert rows_to_read(open_lake) == ["a", "b", "c"]
    assert (sign(), rows_to_read(open_lake)) == (2, [])
    add(lake, "d", "e")
    assert (sign(limit=1), sign(killed=True)) == (1, 1)
    assert rows_to_read(open_lake) == ["d", "e"]
    assert (sign(), sign()) == (0, 0), "segments that the other runs signed are not signed again"
    assert rows_to_read(open_lake) == []


def test_all_rows_are_read_after_rows_were_removed(open_lake: OpenLake, sign: Callable[..., int]) -> None:
    lake = open_lake()
    add(lake, "a", "b")
    sign()
    DeltaTable(lake.path(SIGNATURES)).delete("segment_id = 'a'")
    assert rows_to_read(open_lake) == ["a", "b"]
    assert sign() == 1
    DeltaTable(lake.path(SEGMENTS)).delete("segment_id = 'b'")
    add(lake, "c")
    assert rows_to_read(open_lake) == ["a", "c"]


def test_compaction_does_not_count_as_removed_rows(open_lake: OpenLake, sign: Callable[..., int]) -> None:
    lake = open_lake()
    for name in "ab":
        add(lake, name)
    sign()
    DeltaTable(lake.path(SEGMENTS)).optimize.compact()
    assert rows_to_read(open_lake) == []
    add(lake, "c")
    assert rows_to_read(open_lake) == ["c"]
    DeltaTable(lake.path(SEGMENTS)).optimize.compact()
    assert rows_to_read(open_lake) == ["a", "b", "c"], "the new rows are in one file with the old ones"
    assert (sign(), rows_to_read(open_lake)) == (1, [])


@pytest.mark.parametrize("table", [SEGMENTS, SIGNATURES])
def test_a_recreated_table_is_read_from_the_start(open_lake: OpenLake, sign: Callable[..., int], table: object) -> None:
    lake = open_lake()
    add(lake, "a", "b")
    sign()
    shutil.rmtree(lake.path(table))  # type: ignore[arg-type]  # pytest gives it as an object
    for name in () if table is SIGNATURES else ("c", "d", "a"):
        add(lake, name)
    assert rows_to_read(open_lake) == (["a", "b"] if table is SIGNATURES else ["a", "c", "d"])
    assert sign() == 2


def test_all_rows_are_read_after_log_cleanup(open_lake: OpenLake, sign: Callable[..., int]) -> None:
    lake = open_lake()
    add(lake, "a")
    sign()
    for name in "bcd":
        add(lake, name)
    DeltaTable(lake.path(SEGMENTS)).create_checkpoint()
    (Path(lake.path(SEGMENTS)) / "_delta_log" / f"{1:020}.json").unlink()
    assert rows_to_read(open_lake) == ["a", "b", "c", "d"]
    assert (sign(), rows_to_read(open_lake)) == (3, [])
