"""Every look at a lake by delta-rs, below folders with names that delta-rs itself does not get right."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from jobs.lake import local
from jobs.lake.audit import faults
from jobs.lake.catalog import _vacuum
from jobs.lake.conform import arrow_of
from jobs.lake.runs import Run
from model_ops.training.dataset import check_rows, read_rows
from model_ops.training.settings import TrainingError
from schemas.content_digest import content_digest
from schemas.gold import TRAINING_EXAMPLES
from schemas.ops import MODELS, RUNS
from schemas.place import opened
from tests.planted import plant
from tests.tiny_dataset import DATASET, rows

NAMES = [
    "feature%2Fx [1] {a} #b ü",  # as Jenkins names the workspace of a branch
    "a%20b",
    "100%",
    "what?",
    "[1]",
    "{a,b}",
    "x^y|z",
    "back\\slash",
    "new\nline",
    'it\'s `so` "called" *.parquet',
]


def run_row() -> dict[str, object]:
    return Run("finetune", "test", "r", MODELS, run_id="r").row("ok") | {"started_at": datetime(2026, 1, 1, tzinfo=UTC)}


@pytest.fixture(params=NAMES)
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A lake with a run and a data set, moved to where delta-rs would not write it."""
    made = tmp_path / "made"
    plant(made, RUNS, [run_row()])
    plant(made, TRAINING_EXAMPLES, rows())
    plant(made, TRAINING_EXAMPLES, rows(1, 0))
    above = tmp_path / request.param
    above.mkdir()
    return made.rename(above / "lake")


def test_versions_and_rows_are_seen(lake: Path) -> None:
    for root in (str(lake), f"file:{lake}", f"file://{lake}"):
        assert local.versions(root, [TRAINING_EXAMPLES, RUNS, MODELS]) == {
            "gold.training_examples": 1, "ops.runs": 0, "ops.models": 0,
        }  # fmt: skip
        assert local.count_rows(root, RUNS, "run_id", "r") == 1
        assert local.count_rows(root, MODELS, "run_id", "r") == 0


def test_the_trainer_reads_its_version(lake: Path) -> None:
    table = f"{lake}/{TRAINING_EXAMPLES.path}"
    found = read_rows(table, 0, DATASET)
    check_rows(found, DATASET, content_digest(arrow_of(TRAINING_EXAMPLES, rows()).to_batches()))
    assert read_rows(table, 1, DATASET).num_rows == 9
    with pytest.raises(TrainingError, match=r"cannot read version 7 of "):
        read_rows(table, 7, DATASET)
    with pytest.raises(TrainingError, match=r"cannot read version 0 of "):
        read_rows(f"{lake}/none", 0, DATASET)


def test_the_audit_reads_rows_and_commits(lake: Path) -> None:
    plain = shutil.copytree(lake, lake.parents[1] / "plain")
    assert faults(str(lake)) == faults(str(plain)) != []
    with local.delta_table(f"{lake}/{TRAINING_EXAMPLES.path}") as delta:
        assert delta is not None
        assert len(delta.history()) == 2


@pytest.mark.parametrize("partitioned", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_vacuum_deletes_what_no_version_needs_and_nothing_else(tmp_path: Path, name: str, partitioned: bool) -> None:
    table, made = pa.table({"part": ["a b", "c%2Fd"], "n": [1, 2]}), tmp_path / "made"
    for _ in range(3):
        write_deltalake(str(made), table, mode="overwrite", partition_by=["part"] if partitioned else None)
    (tmp_path / name).mkdir()
    folder = made.rename(tmp_path / name / "table")
    files = set(folder.rglob("*.parquet"))
    would = _vacuum(folder, [0, 2], 0, None)
    assert set(folder.rglob("*.parquet")) == files
    assert len(would) == len(files) // 3
    _vacuum(folder, [0, 2], 0, "{}")
    assert files - set(folder.rglob("*.parquet")) == {folder / file for file in would}
    for version in (0, 2):
        with opened(str(folder), lambda path, version=version: DeltaTable(path, version=version)) as delta:  # type: ignore[misc]
            assert delta.to_pyarrow_table().num_rows == 2
    assert _vacuum(folder, [0, 2], 0, None) == []


def test_a_plain_path_is_used_directly_and_a_mangled_link_target_is_not(tmp_path: Path) -> None:
    (tmp_path / "50%25").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "50%25")
    for place, same in ((tmp_path, True), (tmp_path / "50%25", False), (tmp_path / "link", False)):
        with opened(str(place), str) as path:
            assert (path == str(place)) == same
    with opened("s3://bucket/a%20b", str) as path:
        assert path == "s3://bucket/a%20b"


def test_links_lie_where_delta_rs_can_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace may hold the folder for temporary files, too."""
    (tmp_path / "a%2Fb").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "a%2Fb"))
    with opened(str(tmp_path / "a%2Fb"), str) as path:
        assert "%" not in path
    assert not Path(path).exists()
