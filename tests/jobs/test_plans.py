"""No job moves all rows of a large table to one task or to every task."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs import (
    curate,
    extract_segments,
    find_duplicates,
    generate_candidates,
    score_candidates,
    select_seed,
    select_unlabelled,
    sign_segments,
)
from jobs.errors import JobError, StoppedError
from jobs.inference import ask
from jobs.lake import materialised
from jobs.recipe.config import Recipe
from schemas.bronze import CONVERSATIONS, DOCUMENTS
from schemas.ops import RUNS
from schemas.silver import CANDIDATES, SCORES, SEED_PAIRS, UNLABELLED
from tests.conftest import OpenLake, RunJob
from tests.plans import gathered, planned_as_for_large_tables
from tests.planted import plant, plant_model

pytestmark = pytest.mark.spark

FEW = ("bucket", "run")
"""Grouping columns whose aggregates stay small: ranges of hashes and scores, and the runs of known texts."""


@pytest.fixture
def found(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record the plan nodes that gather all rows in frames staged from now on, planned as for large tables."""
    nodes: list[str] = []
    kind = type(spark.range(1))
    plain = kind.localCheckpoint

    def noted(frame: DataFrame, *told: bool) -> DataFrame:
        nodes.extend(gathered(frame, *FEW))
        return plain(frame, *told)

    monkeypatch.setattr(kind, "localCheckpoint", noted)
    monkeypatch.setattr(materialised, "FEW", -1)
    monkeypatch.setattr(
        ask, "tasks_of_a_wave", lambda *_, **__: 2
    )  # one task would hold a wave's rows, which a setting bounds
    with planned_as_for_large_tables(spark):
        yield nodes


@pytest.fixture
def recipe(tiny_base: Path, tmp_path: Path) -> Recipe:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "What is known of the green tea that people drink in the east of the country?"}\n')
    return Recipe.model_validate({
        "name": "test", "base_model": str(tiny_base), "inference": {"engine": "fake"},
        "extract_segments": {"headerless": True, "min_chars": 5}, "select_seed": {"size": 3},
        "select_unlabelled": {"size": 5}, "ingest_prompts": {"sets": {"tea": str(prompts)}}, "generate_candidates": {"n_segments": 4, "samples": 2},
        "score_candidates": {"scorers": ["rubric", "expected", "leak_free", "random"], "limits": {"expected": 3}},
        "curate": {"scorers": ["rubric", "expected", "random"], "threshold": None, "top_fraction": 0.5, "min_rows": 1,
                   "gates": {"leak_free": 0.0}, "max_leak": "seed", "per_segment": 1},
    })  # fmt: skip


def documents(*numbers: int) -> list[dict[str, object]]:
    return [{
        "document_id": f"{n:064x}", "url": f"http://a.org/{n}", "crawled_at": None, "source_id": "s", "source_file": f"f{n % 2}",
        "record_offset": n, "charset": "utf-8", "media_type": "text/plain", "payload_digest": "p", "robots": [], "licences": [],
        "content": f"Of page {n // 2} there is only this to say, that it is the page {n // 2} and no other page of them all.",
    } for n in numbers]  # fmt: skip


@pytest.fixture
def run(run_job: RunJob, found: list[str]) -> Callable[..., None]:
    """Return a function that runs a job and asserts that none of its plans gathers all rows."""

    def ran(job: ModuleType, recipe: Recipe, **told: object) -> None:
        lake = run_job(job, recipe, **told)
        plant(lake.root, RUNS, [lake.run.row("ok")])
        assert found == [], job.__name__

    return ran


def test_the_corpus_jobs(run: Callable[..., None], open_lake: OpenLake, recipe: Recipe) -> None:
    lake = open_lake()
    for some in (range(12), range(12, 16)):
        plant(lake.root, DOCUMENTS, documents(*some))
        for job in (extract_segments, sign_segments, find_duplicates, select_unlabelled):
            run(job, recipe)
    assert lake.read(UNLABELLED).count() == 5
    plant(lake.root, DOCUMENTS, documents(16, 17))
    for job in (extract_segments, sign_segments):
        run(job, recipe, limit=1)


def test_the_jobs_that_ask_and_curate(run: Callable[..., None], open_lake: OpenLake, recipe: Recipe) -> None:
    lake = open_lake()
    plant(lake.root, DOCUMENTS, documents(*range(0, 20, 2)))
    for job in (extract_segments, select_unlabelled):
        run(job, recipe)
    for direction in ("forward", "backward"):
        plant_model(lake.root, recipe, direction, 0)  # type: ignore[arg-type]  # mypy sees a str
    run(generate_candidates, recipe)
    assert lake.read(CANDIDATES).count() == 4  # the fake engine's samples are equal
    run(score_candidates, recipe, iteration=1)
    assert lake.read(SCORES).count() == 3 * 4 + 3
    with pytest.raises(
        JobError, match=r'curate.max_leak = "seed": silver.seed_pairs has no pair of test; run `humpback'
    ):
        run(curate, recipe, iteration=1)
    told = " ".join(f"word{n}" for n in range(12))
    plant(lake.root, SEED_PAIRS, [{
        "experiment": "test", "pair_id": "p", "instruction": told, "response": told, "language": "en", "source": "faq",
        "licence": None, "split": "train",
    }])  # fmt: skip
    with suppress(StoppedError):  # a fake engine's scores need not pass the audit; they were ranked before it
        run(curate, recipe, iteration=1)


def test_the_seed(run: Callable[..., None], open_lake: OpenLake, recipe: Recipe) -> None:
    sides = (("q", None, "prompter", None), ("a", "q", "assistant", 0))
    plant(open_lake().root, CONVERSATIONS, [{
        "message_id": f"{name}{n}", "tree_id": f"q{n}", "parent_id": parent and f"{parent}{n}", "role": role,
        "text": f"{name} {n}", "language": "en", "rank": rank, "synthetic": False, "source": "s", "licence": None,
    } for n in range(9) for name, parent, role, rank in sides])  # fmt: skip
    run(select_seed, recipe)
