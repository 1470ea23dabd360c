"""A loop runs its steps again only if something has changed since the last successful loop."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from pyspark.sql import SparkSession

from jobs import ingest_documents
from jobs.errors import RecipeError
from jobs.inference.serving import EngineServers
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.loop import state
from jobs.loop.runner import Runner
from jobs.loop.state import inputs_digest
from jobs.recipe.config import IngestConversations, Recipe
from jobs.recipe.step import Step
from model_ops.client.fake_engine import FakeEngine
from schemas import TABLES
from schemas.bronze import COMPLETIONS
from schemas.ops import PROMPTS, RUNS
from tests.conftest import OpenLake
from tests.pages import write_warc
from tests.tiny_model import save_model

pytestmark = pytest.mark.spark

ALL, NOTHING = ["ingest-documents", "run"], ["run"]
Work = Callable[[RunLake], None]


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    save_model(tmp_path / "base")
    write_warc(tmp_path / "a.warc.gz", n_pages=1)
    (tmp_path / "seed.jsonl").write_text(json.dumps({"instruction": "Why?", "response": "Because."}) + "\n")
    sections = {
        "ingest_documents": {"paths": [str(tmp_path)]},
        "ingest_conversations": {"paths": [str(tmp_path / "seed.jsonl")]},
    }
    return Recipe.model_validate({"name": "test", "base_model": str(tmp_path / "base")} | sections)


@pytest.fixture
def loop(spark: SparkSession, recipe: Recipe, tmp_path: Path) -> Callable[..., list[str]]:
    """`loop(work)` runs a loop of one step that does `work`, and returns the names of the runs."""

    def ran(work: Work = lambda lake: None, limit: int | None = None) -> list[str]:
        job = ModuleType(ingest_documents.__name__)
        vars(job).update(vars(ingest_documents), run=lambda lake, recipe, step: work(lake))
        servers = EngineServers(recipe.inference, FakeEngine())
        runner = Runner(spark, str(tmp_path / "lake"), recipe, servers, order=lambda recipe: [Step(job)])
        return [run.job for run in runner.loop(limit)]

    return ran


def written(lake: RunLake) -> None:
    lake.insert(PROMPTS, [{"prompt_id": lake.run.run_id, "name": "", "text": "", "chat_template_digest": ""}])


def known_state(lake: Lake, recipe: Recipe) -> str | None:
    """Return the digest of inputs and tables, or None unless a loop has ended in this state."""
    inputs, tables = inputs_digest(recipe, None), state.versions(lake)
    return state.state_digest(inputs, tables) if state.is_done(lake.spark, lake.root, inputs, tables) else None


def test_an_unchanged_loop_runs_no_step(
    loop: Callable[..., list[str]], open_lake: OpenLake, recipe: Recipe, tmp_path: Path
) -> None:
    assert loop(written) == ALL
    assert all(open_lake().exists(table) for table in TABLES), "tables without rows are created too"
    assert loop() == NOTHING, "no other run has written"
    known = known_state(open_lake(), recipe)
    assert known is not None
    rows = open_lake().read(RUNS).orderBy("started_at").collect()
    assert [r.job for r in rows if r.loop_id == rows[-1].loop_id] == NOTHING
    assert [r.state_digest for r in rows if r.job == "run"] == [known, known]

    open_lake().insert(RUNS, [open_lake().run.row("ok")])
    shutil.rmtree(tmp_path / "lake" / COMPLETIONS.path)
    assert loop() == NOTHING, "neither rows of ops.runs nor the lack of a table without rows change anything"

    def ask_in_vain(lake: RunLake) -> None:
        lake.run.n_failed += 1

    written(open_lake())
    assert known_state(open_lake(), recipe) is None
    assert loop(ask_in_vain) == ALL, "another run has written"
    assert loop(lambda lake: written(open_lake())) == ALL, "failed requests are sent again"
    assert loop(limit=1) == ALL, "another run's rows, written during the loop, may be new input"
    assert loop(limit=1) == ALL, "each limited loop continues where the last one stopped"
    assert loop() == ALL
    assert loop() == NOTHING
    assert known_state(open_lake(), recipe) is not None


def test_every_input_counts(recipe: Recipe, tmp_path: Path) -> None:
    seen = [inputs_digest(recipe, None)]
    assert inputs_digest(recipe, None) == seen[0]

    def is_new(plan: Recipe = recipe, limit: int | None = None, code: Path = state.CODE) -> bool:
        seen.append(inputs_digest(plan, limit, code))
        return seen[-1] not in seen[:-1]

    with pytest.raises(RecipeError, match=r"ingest_conversations\.paths is empty"):
        is_new(recipe.model_copy(update={"ingest_conversations": IngestConversations()}))
    assert is_new(limit=1)
    assert is_new(recipe.model_copy(update={"name": "other"}))
    write_warc(tmp_path / "b.warc.gz", n_pages=1)
    assert is_new()
    with (tmp_path / "seed.jsonl").open("a") as seed:
        seed.write(json.dumps({"instruction": "How?", "response": "So."}) + "\n")
    assert is_new()
    shutil.copyfile(tmp_path / "base/config.json", tmp_path / "base/more.json")
    assert is_new()
    labels = tmp_path / "labels.jsonl"
    assert is_new(Recipe.model_validate(recipe.model_dump() | {"judge_check": {"file": str(labels)}}))
    labels.touch()
    assert is_new(Recipe.model_validate(recipe.model_dump() | {"judge_check": {"file": str(labels)}}))
    (tmp_path / "words").write_text("casino\n")
    listed = {"extract_segments": {"word_block_lists": [str(tmp_path / "words")]}}
    with_list = Recipe.model_validate(recipe.model_dump() | listed)
    assert is_new(with_list)
    (tmp_path / "words").write_text("bingo\n")
    assert is_new(with_list)
    wheel = tmp_path / "humpback.whl"
    for content in ("code", "other code"):
        wheel.write_text(content)
        assert is_new(code=wheel)
    elsewhere = Recipe.model_validate(recipe.model_dump() | {"ingest_conversations": {"paths": ["s3a://bucket/seed"]}})
    assert inputs_digest(elsewhere, None) is None, "a remote file must be read to detect a change"


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"evaluation": [{"judged_iterations": [2], "judge": "nobody"}]}, "evaluation.judge"),
        ({"rewrite_responses": {"rewriter": "nobody"}}, "rewrite_responses.rewriter"),
    ],
)
def test_a_model_that_nobody_has_is_refused_before_the_first_step(
    spark: SparkSession, recipe: Recipe, tmp_path: Path, section: dict[str, object], key: str
) -> None:
    named = Recipe.model_validate(recipe.model_dump() | section)
    runner = Runner(spark, str(tmp_path / "lake"), named, EngineServers(named.inference, FakeEngine()))
    with pytest.raises(RecipeError, match=f"{key}: nobody is neither in outside_models nor in ops.models"):
        runner.loop()
    assert not (tmp_path / "lake" / "ops").exists()
