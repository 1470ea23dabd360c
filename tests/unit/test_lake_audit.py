"""That the audit of a whole lake finds what is wrong with it, and takes nothing that is sound for a fault."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from deltalake import CommitProperties, write_deltalake

from jobs.errors import JobError
from jobs.lake.audit import faults
from jobs.lake.conform import arrow_of, predicate
from jobs.lake.runs import Run
from schemas.bronze import COMPLETIONS
from schemas.content_digest import content_digest
from schemas.gold import CURATED, TRAINING_EXAMPLES
from schemas.ops import MODELS, QUARANTINE, RELEASES, RUNS
from schemas.silver import CANDIDATES, SCORES, SEED_PAIRS, UNLABELLED
from schemas.table import Table
from tests.planted import plant

EXAMPLE = {
    "dataset": "test/forward-0", "example_id": "e", "prompt": "Q?", "completion": "A.", "system": "", "origin": "seed",
    "source_id": "p", "split": "train",
}  # fmt: skip
DIGEST = content_digest(arrow_of(TRAINING_EXAMPLES, [EXAMPLE]).to_batches())[1]
RELEASE: dict[str, Any] = {
    "release_id": "r", "table": "gold.training_examples", "experiment": "test", "iteration": 0,
    "slice": "dataset = 'test/forward-0'", "version": 0, "n_rows": 1, "content_digest": DIGEST,
    "expectations_report": None, "published_at": datetime(2026, 1, 2, tzinfo=UTC),
}  # fmt: skip


def test_a_sound_lake_has_no_faults(tmp_path: Path) -> None:
    _trained(tmp_path)
    assert faults(str(tmp_path)) == []
    assert faults(f"file:{tmp_path}") == []


def test_each_fault_is_named(tmp_path: Path) -> None:
    _trained(tmp_path, digest="0" * 64, n_in=5)
    candidate = {"candidate_id": "c", "method_digest": "d", "segment_id": "s", "instruction": " ", "response": "r",
                 "model_id": "m", "request_id": "q"}  # fmt: skip
    plant(tmp_path, CANDIDATES, [candidate, candidate])
    plant(tmp_path, SCORES, [
        {"method_digest": "d", "pair_id": "c", "model_id": "m", "scorer": "expected", "score": 4.0, "status": "ok",
         "label_mass": 1.0, "parser": "p", "request_ids": ["q", "lost"]}
    ])  # fmt: skip
    plant(
        tmp_path,
        TRAINING_EXAMPLES,
        [EXAMPLE | {"example_id": "f", "source_id": "c"}, EXAMPLE | {"example_id": "g", "source_id": "x"}],
    )
    account = "ops.runs: the counts of finetune, run r-1, do not balance: 5 in, 0 out, dropped or quarantined"
    assert faults(str(tmp_path)) == [
        "silver.candidates: keys that occur more than once: 1, e.g. c",
        "silver.candidates: rows that break instruction_not_empty: 2, e.g. c",
        "silver.candidates.segment_id: values that are not in silver.unlabelled.segment_id: 1, e.g. s",
        "silver.candidates.request_id: values that are not in bronze.completions.request_id: 1, e.g. q",
        "silver.scores.request_ids: values that are not in bronze.completions.request_id: 2, e.g. lost",
        "gold.training_examples.source_id: values that are not in silver.seed_pairs.pair_id or "
        "silver.candidates.candidate_id or silver.rewrites.rewrite_id: 1, e.g. x",
        account,
        "ops.releases: gold.training_examples@0 where dataset = 'test/forward-0' is not what was released: "
        f"1 rows with digest {DIGEST[:12]}, released were 1 with 000000000000",
        "ops.models: m was trained on other rows than version 0 of test/forward-0 holds",
    ]


def test_a_missing_lake_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"/none: no such folder; name the lake"):
        faults(str(tmp_path / "none"))
    with pytest.raises(JobError, match=r": not a lake, since it has no table ops\.runs; name the folder"):
        faults(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            {"slice": "dataset = 'x' OR true"},
            "where dataset = 'x' OR true cannot be read: the slice is not a conjunction",
        ),
        (
            {"slice": "1 = (SELECT count(*) FROM read_text('/etc/passwd'))"},
            "cannot be read: the slice is not a conjunction",
        ),
        ({"slice": "dataset = 'test/forward-0' --"}, "cannot be read: the slice is not a conjunction"),
        ({"slice": ""}, "cannot be read: the slice is not a conjunction"),
        ({"slice": "color = 'x'"}, "where color = 'x' cannot be read: No match for FieldRef.Name(color)"),
        ({"slice": "dataset = 1"}, "where dataset = 1 cannot be read: "),
        ({"slice": "dataset = 'other'"}, "where dataset = 'other' is not what was released"),
        ({"slice": "dataset = 'größer'"}, "where dataset = 'größer' "),
        ({"slice": "dataset = 'a\x1b[2J\nb'"}, "where dataset = 'a\\x1b[2J\\nb' is not what was released"),
        ({"slice": "dataset = 'test/forward-0' AND split = 'dev'"}, "split = 'dev' is not what was released"),
        ({"table": "gold.other"}, "gold.other@0 where dataset = 'test/forward-0' cannot be read: no such table"),
        ({"table": "ops.runs", "slice": "job = 'finetune'"}, "cannot be read: column dropped is a map"),
        ({"table": "gold.curated"}, "cannot be read: the table does not exist"),
        ({"table": "t" * 200}, f"ops.releases: {'t' * 200}@0 where"),
        ({"table": "t" * 201}, f"ops.releases: {'t' * 199}…@0 where"),
        ({"version": 7}, "gold.training_examples@7 where dataset = 'test/forward-0' cannot be read: "),
        ({"n_rows": 2}, "is not what was released"),
    ],
)
def test_a_release_that_differs_or_is_missing_is_a_fault(tmp_path: Path, change: dict[str, Any], fault: str) -> None:
    _trained(tmp_path)
    plant(tmp_path, RELEASES, [RELEASE | {"release_id": "r2"} | change])
    (found,) = faults(str(tmp_path))
    assert found.startswith("ops.releases: ")
    assert fault in found
    assert found.isprintable()


def test_a_log_that_cannot_be_read_is_one_fault_without_the_advice_to_run_the_audit(tmp_path: Path) -> None:
    _trained(tmp_path)
    (log,) = (tmp_path / SEED_PAIRS.path / "_delta_log").glob("*.json")
    log.write_text("spoilt")
    (found,) = faults(str(tmp_path))
    reason = found.removeprefix("silver.seed_pairs: cannot be read: ")
    assert reason not in (found, "None", "")
    assert "humpback audit" not in reason


@pytest.mark.parametrize("dataset", ["it's", 'a "b"', "back\\slash", "a' OR '1' = '1", "ünï\ncode"])
def test_a_slice_may_hold_any_text(tmp_path: Path, dataset: str) -> None:
    rows = [EXAMPLE | {"dataset": dataset}]
    n_rows, digest = content_digest(arrow_of(TRAINING_EXAMPLES, rows).to_batches())
    _trained(tmp_path)
    plant(tmp_path, TRAINING_EXAMPLES, rows)
    slice = predicate({"dataset": dataset, "split": "train"})
    released = {"release_id": "r2", "slice": slice, "version": 1, "n_rows": n_rows, "content_digest": digest}
    plant(tmp_path, RELEASES, [RELEASE | released])
    assert faults(str(tmp_path)) == []


def test_a_number_selects_a_slice(tmp_path: Path) -> None:
    _trained(tmp_path)
    plant(tmp_path, CURATED, [])
    n_rows, digest = content_digest([])
    slice = predicate({"experiment": "test", "iteration": 1})
    released = {"release_id": "r2", "table": "gold.curated", "slice": slice, "n_rows": n_rows, "content_digest": digest}
    plant(tmp_path, RELEASES, [RELEASE | released])
    assert faults(str(tmp_path)) == []


@pytest.mark.parametrize("table", [SEED_PAIRS, RUNS, RELEASES, MODELS])
def test_a_table_that_cannot_be_read_is_one_fault(tmp_path: Path, table: Table) -> None:
    _trained(tmp_path)
    _spoil(tmp_path, table)
    (found,) = faults(str(tmp_path))
    assert found.startswith(f"{table.name}: cannot be read: ")
    assert "Could not open Parquet input source 'part-" in found


def test_other_references_are_checked_despite_an_unreadable_table(tmp_path: Path) -> None:
    _trained(tmp_path)
    row = {"candidate_id": "c", "method_digest": "d", "segment_id": "s", "instruction": "Q?", "response": "A.",
           "model_id": "m", "request_id": "q"}  # fmt: skip
    plant(tmp_path, CANDIDATES, [row])
    drawn = {"experiment": "test", "segment_id": "s", "document_id": "d", "url": "u", "position": 0, "header": "",
             "header_level": 1, "header_path": [], "text": "A.", "n_chars": 2, "language": "en", "language_score": 1.0,
             "replaced": {}, "sample_hash": "h"}  # fmt: skip
    plant(tmp_path, UNLABELLED, [drawn])
    _spoil(tmp_path, UNLABELLED)
    spoilt, lost = faults(str(tmp_path))
    assert spoilt.startswith("silver.unlabelled: cannot be read: ")
    assert lost.startswith("silver.candidates.request_id: values that are not in bronze.completions.request_id: 1")


def test_a_training_set_whose_file_is_gone_is_named_everywhere(tmp_path: Path) -> None:
    _trained(tmp_path)
    (file,) = (tmp_path / TRAINING_EXAMPLES.path).rglob("*.parquet")
    file.unlink()
    found = [fault.partition(" cannot be read: ") for fault in faults(str(tmp_path))]
    assert [where for where, _, _ in found] == [
        "gold.training_examples:",
        "ops.releases: gold.training_examples@0 where dataset = 'test/forward-0'",
        "ops.models: the training set of m",
    ]
    assert all(file.name[:20] in reason for _, _, reason in found)


def test_a_column_that_an_older_lake_lacks_may_be_null_or_is_a_fault(tmp_path: Path) -> None:
    _trained(tmp_path)
    row = {"run_id": "r-1", "table": "t", "row_id": "i", "rule": "r", "detail": "d"}
    rows = arrow_of(QUARANTINE, [row])
    write_deltalake(f"{tmp_path}/{QUARANTINE.path}", rows.drop_columns(["payload", "record_offset"]))
    assert faults(str(tmp_path)) == []
    write_deltalake(
        f"{tmp_path}/{QUARANTINE.path}",
        rows.drop_columns(["run_id", "rule"]),
        mode="overwrite",
        schema_mode="overwrite",
    )
    assert faults(str(tmp_path)) == [
        "ops.quarantine: was written by another release of humpback: it lacks run_id, rule"
    ]


def test_a_killed_run_without_a_row_is_not_a_fault(tmp_path: Path) -> None:
    _trained(tmp_path)
    answer = {
        "request_id": "q", "run_id": "killed", "attempt": 1, "stage": "candidates", "model_id": "m", "subject_id": "s",
        "sampling": "{}", "sample": 0, "status": "ok", "created_at": datetime(2026, 1, 2, tzinfo=UTC),
    }  # fmt: skip
    place = f"{tmp_path}/{COMPLETIONS.path}"
    its_own = CommitProperties(custom_metadata={"userMetadata": json.dumps({"run_id": "killed"})})
    write_deltalake(place, arrow_of(COMPLETIONS, [answer]), mode="append", commit_properties=its_own)
    assert faults(str(tmp_path)) == []
    foreign = CommitProperties(custom_metadata={"userMetadata": "by hand"})
    rows = arrow_of(COMPLETIONS, [answer | {"run_id": "nobody's\x1b"}])
    write_deltalake(place, rows, mode="append", commit_properties=foreign)
    assert faults(str(tmp_path)) == [
        "bronze.completions.run_id: values that are not in ops.runs.run_id: 1, e.g. nobody's\\x1b"
    ]


def _spoil(lake: Path, table: Table) -> None:
    """Overwrite the table's one file."""
    (file,) = (lake / table.path).rglob("*.parquet")
    file.write_bytes(b"spoilt")


def _trained(lake: Path, digest: str = DIGEST, n_in: int = 0) -> None:
    """A lake with a seed pair, the training set made of it, its release and the model of it."""
    run = Run("finetune", "test", "0" * 16, MODELS, run_id="r-1")
    plant(lake, RUNS, [run.row("ok") | {"n_in": n_in}])
    plant(lake, SEED_PAIRS, [
        {"experiment": "test", "pair_id": "p", "instruction": "Q?", "response": "A.", "language": "en", "source": "s",
         "licence": None, "split": "train"}
    ])  # fmt: skip
    plant(lake, TRAINING_EXAMPLES, [EXAMPLE])
    plant(lake, RELEASES, [RELEASE | {"content_digest": digest}])
    plant(lake, MODELS, [
        {"model_id": "m", "experiment": "test", "direction": "forward", "iteration": 0, "base_model": "b", "path": "f",
         "digest": "d", "dataset": "test/forward-0", "table_version": 0, "n_examples": 1, "content_digest": digest,
         "config_digest": "c", "metrics": {}, "run_id": run.run_id}
    ])  # fmt: skip
