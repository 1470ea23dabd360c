"""Figures of lm-evaluation-harness through the job: what is asked, what is not asked again, and what stops it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import run_harness
from jobs.current.notes import evaluation_method
from jobs.errors import JobError
from jobs.inference import harness as process
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Step
from model_ops.client.apis import Completions
from model_ops.client.served_engine import ServedEngine
from model_ops.serving.model import Model
from model_ops.text.chat import ChatFormat
from schemas.gold import EVALUATIONS
from tests.conftest import OpenLake, RunJob
from tests.model_ops.fake_server import Reply, completion, serving
from tests.planted import plant_model
from tests.unit.test_harness import OPENBOOK, PROMPT, sample
from transforms.evaluation.harness import task_name

pytestmark = pytest.mark.spark


@pytest.fixture
def recipe(tiny_base: Path, tmp_path: Path) -> Recipe:
    (tmp_path / "openbookqa.json").write_text(json.dumps([OPENBOOK] * 3))
    (tmp_path / "ifeval.jsonl").write_text(
        "".join(json.dumps(PROMPT | {"key": n, "prompt": f"{n}"}) + "\n" for n in range(2))
    )
    return Recipe.model_validate({
        "name": "test", "base_model": str(tiny_base),
        "run_harness": {name: str(tmp_path / file) for name, file in
                        (("openbookqa", "openbookqa.json"), ("ifeval", "ifeval.jsonl"))},
    })  # fmt: skip


@pytest.fixture
def model(recipe: Recipe, open_lake: OpenLake) -> Model:
    return plant_model(open_lake().root, recipe, "forward", 0)


@pytest.fixture
def engine(tiny_base: Path) -> Iterator[ServedEngine]:
    """A client of a server that writes one text, and returns log-probabilities of prompts."""

    def script(path: str, body: dict[str, Any] | None, number: int) -> Reply:
        assert body is not None
        logprobs = {"token_logprobs": [None, *[-1.0] * len(body["prompt"])]} if "echo" in body else None
        return completion("No comma here.", logprobs=logprobs)

    with serving(script) as endpoint:
        chat = ChatFormat.load(tiny_base)
        yield ServedEngine((endpoint,), Completions("forward-0-test", chat, 256), 4, timeout=60, patience=5, attempts=2)


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand-ins for the harness's two processes; return the list of those that have run."""
    ran: list[str] = []

    def run_process(words: list[str], folder: Path, output: Path, **_: Any) -> None:
        ran.append(words[1])
        if words[1] == "lm_eval":
            out = Path(json.loads(Path(words[-1]).read_text())["output_path"]) / "m"
            out.mkdir(parents=True)
            lines = [sample(f"openbookqa/{n}", acc=float(n == 1), acc_norm=1.0) for n in range(3)]
            (out / f"samples_{task_name('openbookqa')}_1.jsonl").write_text("\n".join(lines))
        else:
            rows = [json.loads(line) for line in Path(words[2]).read_text().splitlines()]
            assert {row["answer"] for row in rows} == {"No comma here."}
            Path(words[3]).write_text(json.dumps({row["id"]: {"strict": [True], "loose": [True]} for row in rows}))
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text("")

    monkeypatch.setattr(process, "run_process", run_process)
    monkeypatch.setattr(run_harness, "run_process", run_process)
    monkeypatch.setattr(run_harness, "required_version", lambda: "0.4.13")
    return ran


Planned = Callable[[], int | None]


@pytest.mark.usefixtures("model")
def test_a_model_is_measured_once(
    run_job: RunJob, open_lake: OpenLake, recipe: Recipe, engine: ServedEngine, harness: list[str]
) -> None:
    def planned() -> int | None:
        lake = open_lake()
        return run_harness.plan(Lake(lake.spark, lake.root), recipe, Step(run_harness, 0)).n

    assert planned() == 5
    first = run_job(run_harness, recipe, engine, iteration=0)
    assert harness == ["lm_eval", "jobs.inference.ifeval"]
    found = {(r.evaluation, r.metric): r for r in first.read(EVALUATIONS).collect()}
    acc = found["harness/openbookqa", "acc"]
    assert (acc.value, acc.n, acc.n_left_out, acc.model_id) == (pytest.approx(1 / 3), 3, 0, "forward-0-test")
    assert acc.low <= acc.value <= acc.high
    assert found["harness/ifeval", "inst_level_strict_acc"].n == 2
    assert len(found) == 6
    assert first.run.n_calls == 2, "the ledger has the answers to IFEval's prompts"
    assert first.run.methods[evaluation_method("harness/openbookqa")] == acc.method_digest

    again = run_job(run_harness, recipe, engine, iteration=0)
    assert (len(harness), again.run.n_calls, planned()) == (2, 0, 0)
    shown = run_harness.result(Lake(again.spark, again.root), recipe, Step(run_harness, 0)).collect()
    assert {(row.evaluation, row.metric) for row in shown} == {*found}


@pytest.mark.usefixtures("model", "harness")
def test_the_fake_engine_has_no_server(run_job: RunJob, recipe: Recipe) -> None:
    with pytest.raises(JobError, match="asks a server"):
        run_job(run_harness, recipe, iteration=0)
