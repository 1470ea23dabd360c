"""That the audit of a whole lake, which the end-to-end test rests on, finds what is wrong."""

from datetime import UTC, datetime
from pathlib import Path

from jobs.lake.conform import arrow_of
from jobs.lake.runs import Run
from schemas.content_digest import content_digest
from schemas.gold import TRAINING_EXAMPLES
from schemas.ops import MODELS, RELEASES, RUNS
from schemas.silver import CANDIDATES, SCORES, SEED_PAIRS
from tests.audit import faults
from tests.planted import plant

EXAMPLE = {
    "dataset": "test/forward-0", "example_id": "e", "prompt": "Q?", "completion": "A.", "system": "", "origin": "seed",
    "source_id": "p", "split": "train",
}  # fmt: skip
DIGEST = content_digest(arrow_of(TRAINING_EXAMPLES, [EXAMPLE]).to_batches())[1]


def test_a_sound_lake_has_no_faults(tmp_path: Path) -> None:
    _trained(tmp_path, DIGEST)
    assert faults(str(tmp_path)) == []


def test_each_fault_is_named(tmp_path: Path) -> None:
    _trained(tmp_path, "0" * 64, n_in=5)
    candidate = {"candidate_id": "c", "segment_id": "s", "instruction": " ", "response": "r", "model_id": "m",
                 "request_id": "q"}  # fmt: skip
    plant(tmp_path, CANDIDATES, [candidate, candidate])
    plant(tmp_path, SCORES, [
        {"method_digest": "d", "candidate_id": "c", "model_id": "m", "scorer": "expected", "score": 4.0, "status": "ok",
         "label_mass": 1.0, "parser": "p", "request_ids": ["q", "lost"]}
    ])  # fmt: skip
    plant(
        tmp_path,
        TRAINING_EXAMPLES,
        [EXAMPLE | {"example_id": "f", "source_id": "c"}, EXAMPLE | {"example_id": "g", "source_id": "x"}],
    )
    assert faults(str(tmp_path)) == [
        "silver.candidates: 1 keys occur more than once",
        "silver.candidates: 2 rows break instruction_not_empty",
        "silver.candidates.segment_id: 1 values are not in silver.unlabelled.segment_id",
        "silver.candidates.request_id: 1 values are not in bronze.completions.request_id",
        "silver.scores.request_ids: 2 values are not in bronze.completions.request_id",
        "gold.training_examples.source_id: 1 values are not in silver.seed_pairs.pair_id or silver.candidates.candidate_id",
        "ops.runs: the account of finetune is open: 5 in, 0 out",
        "ops.releases: gold.training_examples@0 where dataset = 'test/forward-0' is not what was released",
        "ops.models: m was trained on other rows than 1 of its pinned version",
    ]


def _trained(lake: Path, digest: str, n_in: int = 0) -> None:
    """A lake with a seed pair, the training set made of it, its release and the model of it."""
    run = Run("finetune", "test", "0" * 16, MODELS)
    plant(lake, RUNS, [run.row("ok") | {"n_in": n_in}])
    plant(lake, SEED_PAIRS, [
        {"experiment": "test", "pair_id": "p", "instruction": "Q?", "response": "A.", "language": "en", "source": "s",
         "licence": None, "split": "train"}
    ])  # fmt: skip
    plant(lake, TRAINING_EXAMPLES, [EXAMPLE])
    plant(lake, RELEASES, [
        {"release_id": "r", "table": "gold.training_examples", "experiment": "test", "iteration": 0,
         "slice": "dataset = 'test/forward-0'", "version": 0, "n_rows": 1, "content_digest": digest,
         "expectations_report": None, "published_at": datetime(2026, 1, 2, tzinfo=UTC)}
    ])  # fmt: skip
    plant(lake, MODELS, [
        {"model_id": "m", "experiment": "test", "direction": "forward", "iteration": 0, "base_model": "b", "path": "f",
         "digest": "d", "dataset": "test/forward-0", "table_version": 0, "n_examples": 1, "content_digest": digest,
         "config_digest": "c", "metrics": {}, "run_id": run.run_id}
    ])  # fmt: skip
