from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from model_ops.training.dataset import check_rows, read_rows
from model_ops.training.settings import TrainingError
from schemas.gold import TRAINING_EXAMPLES
from tests.tiny_dataset import DATASET, rows, write_table


def test_the_pinned_version_is_read_and_verified(tmp_path: Path) -> None:
    other = rows(1, 1, "demo/backward-0")
    table, digest = write_table(tmp_path, rows(), other, rows(1, 0))
    pinned = read_rows(table, 1, DATASET)
    assert {row["dataset"] for row in pinned.to_pylist()} == {DATASET}
    check_rows(pinned, DATASET, digest)
    with pytest.raises(TrainingError, match=f"{DATASET} is not what was released: 9 rows with digest .*, expected 8"):
        check_rows(read_rows(table, 2, DATASET), DATASET, digest)


def test_a_column_that_a_later_release_added_is_not_read(tmp_path: Path) -> None:
    table, digest = write_table(tmp_path, rows())
    wider = pa.Table.from_pylist([row | {"licence": "CC0-1.0"} for row in rows(1, 0, "demo/backward-0")])
    write_deltalake(table, wider, mode="append", schema_mode="merge")
    found = read_rows(table, 1, DATASET)
    assert found.column_names == TRAINING_EXAMPLES.columns
    check_rows(found, DATASET, digest)


def test_the_same_number_of_other_rows_is_refused(tmp_path: Path) -> None:
    table, (n_rows, digest) = write_table(tmp_path, rows())
    changed = f"{int(digest, 16) ^ 1:064x}"
    with pytest.raises(TrainingError, match=f"8 rows with digest {digest}, expected 8 with {changed}"):
        check_rows(read_rows(table, 0, DATASET), DATASET, (n_rows, changed))


def test_no_such_table_or_version(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=f"cannot read version 0 of {tmp_path}/none"):
        read_rows(f"{tmp_path}/none", 0, DATASET)
    table, _ = write_table(tmp_path, rows())
    with pytest.raises(TrainingError, match=f"cannot read version 9 of {table}"):
        read_rows(table, 9, DATASET)
