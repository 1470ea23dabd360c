"""The ledger: a request is sent once, ever; what failed is asked again; too many failures stop the job."""

import pytest
from pyspark.sql import DataFrame

from jobs import generate_candidates, inference
from jobs.config import Recipe
from jobs.errors import StoppedError
from jobs.inference import answers, complete
from jobs.models import Model
from jobs.serving import LoadEngine
from model_ops.fake_engine import FakeEngine
from schemas.bronze import COMPLETIONS
from tests.conftest import OpenLake
from transforms.requests import requests_from

pytestmark = pytest.mark.spark

MODEL = Model("backward-0-abc", "nowhere", "d" * 64)


def recipe(**settings: object) -> Recipe:
    return Recipe.model_validate({"name": "test", "base_model": "b", "inference": {"engine": "fake"} | settings})


def requests(lake, *subjects: str, prompt: str = "Tell me of ") -> DataFrame:  # type: ignore[no-untyped-def]
    rows = [(s, "", prompt + s, "", None) for s in subjects]
    frame = lake.spark.createDataFrame(
        rows, "subject_id string, system string, prompt string, prefill string, span string"
    )
    return requests_from(frame, stage="candidates", model_id=MODEL.model_id, model_digest=MODEL.digest, prompt_id="p",
                         sampling={"temperature": 0.7})  # fmt: skip


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What the fake engine fails on, for now."""
    on: list[str | None] = [None]
    monkeypatch.setattr(inference, "engine_for", lambda *_: LoadEngine(FakeEngine(fail_on=on[0])))
    return on


def test_each_request_is_sent_once_over_runs_and_waves(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    first = complete(lake, requests(lake, *"abcde"), recipe(rows_per_wave=2), MODEL)
    assert {r.subject_id for r in first.collect()} == set("abcde")
    assert lake.run.n_calls == 5
    assert lake.run.n_tokens > 0

    later = open_lake(generate_candidates)
    again = complete(later, requests(later, *"abcdef"), recipe(rows_per_wave=2), MODEL)
    assert again.count() == 6
    assert later.run.n_calls == 1
    assert later.latest(COMPLETIONS).count() == 6


def test_equal_requests_are_sent_once(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    twice = requests(lake, "a").unionByName(requests(lake, "a"))
    complete(lake, twice, recipe(), MODEL)
    assert lake.run.n_calls == 1


def test_a_changed_prompt_costs_its_own_rows_only(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    complete(lake, requests(lake, "a", "b"), recipe(), MODEL)
    later = open_lake(generate_candidates)
    both = requests(later, "a").unionByName(requests(later, "b", prompt="What of "))
    complete(later, both, recipe(), MODEL)
    assert later.run.n_calls == 1


def test_what_failed_is_asked_again_and_its_first_good_answer_stands(
    open_lake: OpenLake, failing: list[str | None]
) -> None:
    failing[0] = "of e"
    lake = open_lake(generate_candidates)
    first = complete(lake, requests(lake, *"abcde"), recipe(max_failed_share=0.5), MODEL)
    assert first.count() == 4

    failing[0] = None
    later = open_lake(generate_candidates)
    assert complete(later, requests(later, *"abcde"), recipe(), MODEL).count() == 5
    assert later.run.n_calls == 1
    ledger = later.latest(COMPLETIONS).where("subject_id = 'e'").orderBy("created_at").collect()
    assert [r.status for r in ledger] == ["failed", "ok"]


def test_too_many_failures_stop_the_job_and_keep_the_good_answers(
    open_lake: OpenLake, failing: list[str | None]
) -> None:
    failing[0] = "of a"
    lake = open_lake(generate_candidates)
    with pytest.raises(StoppedError, match=r"candidates: 1 of 2 requests failed .* e.g. fake failure on 'of a'"):
        complete(lake, requests(lake, "a", "b"), recipe(max_failed_share=0.0), MODEL)
    assert answers(lake, requests(lake, "a", "b")).count() == 1
    assert StoppedError.exit_code == 3
