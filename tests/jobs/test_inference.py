"""The ledger: a request is sent once, ever; what failed is asked again; too many failures stop the job."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame

from jobs import generate_candidates
from jobs.current.models import Model
from jobs.errors import StoppedError
from jobs.inference import ask as inference
from jobs.inference.ask import answers, complete
from jobs.recipe.config import Recipe
from model_ops.client.engine import Answer
from model_ops.client.fake_engine import FakeEngine
from schemas.bronze import COMPLETIONS
from tests.conftest import OpenLake
from transforms.prompting.requests import requests_from

pytestmark = pytest.mark.spark

MODEL = Model("backward-0-abc", "nowhere", "d" * 64, "base")


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
    monkeypatch.setattr(inference, "engine_for", lambda *_: FakeEngine(fail_on=on[0]))
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


def test_as_many_requests_are_open_as_all_servers_take(open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = []
    monkeypatch.setattr(inference, "engine_for", lambda *of: windows.append(of[-1]) or FakeEngine())
    monkeypatch.setattr(inference, "tasks_of_a_wave", lambda *_, held: 2)
    lake = open_lake(generate_candidates)
    for n, subject in ((0, "a"), (3, "b")):
        settings = {"serving": {"executors": n}, "inference": {"engine": "fake", "in_flight": 10}}
        many = Recipe.model_validate({"name": "test", "base_model": "b"} | settings)
        complete(lake, requests(lake, subject), many, MODEL)
    assert windows == [5, 15]


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
    assert lake.run.n_failed == 2

    failing[0] = None
    later = open_lake(generate_candidates)
    assert complete(later, requests(later, *"abcde"), recipe(), MODEL).count() == 5
    assert (later.run.n_calls, later.run.n_failed) == (1, 0)
    ledger = later.latest(COMPLETIONS).where("subject_id = 'e'").orderBy("created_at").collect()
    assert [(r.status, r.attempt) for r in ledger] == [("failed", 1), ("failed", 2), ("ok", 1)]


def test_one_request_that_always_fails_stops_no_run(open_lake: OpenLake, failing: list[str | None]) -> None:
    """The share is of the stage: of those asked once more, or by a later run, it may be all."""
    failing[0] = "of s7"
    subjects = [f"s{n}" for n in range(60)]
    for n_calls in (61, 2):
        lake = open_lake(generate_candidates)
        assert complete(lake, requests(lake, *subjects), recipe(), MODEL).count() == 59
        assert (lake.run.n_calls, lake.run.n_failed) == (n_calls, 2)


def test_what_a_server_refused_is_asked_once_more_by_a_later_run(
    open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fault or the server's: that can't be told. What our own client refuses is settled."""
    calls = []
    for endpoint in ("gpu", None):
        monkeypatch.setattr(inference, "engine_for", lambda *_, at=endpoint: Refusing(at))
        for _ in range(3):
            lake = open_lake(generate_candidates)
            asked = requests(lake, "a", prompt=f"At {endpoint} of ")
            complete(lake, asked, recipe(max_failed_share=1.0), MODEL)
            calls.append((lake.run.n_calls, lake.run.n_failed))
    assert calls == [(1, 1), (1, 1), (0, 0), (1, 0), (0, 0), (0, 0)]


def test_too_many_failures_stop_the_job_and_keep_the_good_answers(
    open_lake: OpenLake, failing: list[str | None]
) -> None:
    failing[0] = "of a"
    lake = open_lake(generate_candidates)
    with pytest.raises(
        StoppedError, match=r"candidates: 1 of 2 requests failed, allowed are 0 .* e.g. fake failure on 'of a'"
    ):
        complete(lake, requests(lake, "a", "b"), recipe(max_failed_share=0.0), MODEL)
    assert answers(lake, requests(lake, "a", "b"), MODEL).count() == 1
    assert StoppedError.exit_code == 3


def test_failures_in_a_row_stop_the_sending(open_lake: OpenLake, failing: list[str | None]) -> None:
    failing[0] = "Tell"
    lake = open_lake(generate_candidates)
    limits = recipe(max_failed_in_a_row=3, max_failed_share=1.0)
    with pytest.raises(StoppedError, match=r"3 in a row failed, so 4 were not sent; e\.g\. fake failure"):
        complete(lake, requests(lake, *"abcdefg"), limits, MODEL)
    assert (lake.run.n_calls, lake.latest(COMPLETIONS).count()) == (3, 3)


def test_an_empty_answer_is_asked_for_once_more_and_then_stands(
    open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "engine_for", lambda *_: Mute())
    lake = open_lake(generate_candidates)
    assert complete(lake, requests(lake, "a", "b"), recipe(), MODEL).count() == 2
    assert (lake.run.n_calls, lake.latest(COMPLETIONS).count()) == (4, 4), "what was paid for is in the ledger"
    later = open_lake(generate_candidates)
    assert [r.status for r in complete(later, requests(later, "a", "b"), recipe(), MODEL).collect()] == ["empty"] * 2
    assert later.run.n_calls == 0


def test_a_changed_policy_asks_once_more_and_no_more(open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "engine_for", lambda *_: Mute())
    calls = []
    for ask_again in ((), ("empty",), ("empty",)):
        lake = open_lake(generate_candidates)
        assert complete(lake, requests(lake, "a", "b"), recipe(ask_again=ask_again), MODEL).count() == 2
        calls.append(lake.run.n_calls)
    assert calls == [2, 2, 0]


def test_two_waves_are_open_at_once_and_each_is_a_commit_of_its_own(
    open_lake: OpenLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "engine_for", lambda *_: Together(str(tmp_path)))
    lake = open_lake(generate_candidates)
    subjects = [f"s{n}" for n in range(40)]
    found = complete(lake, requests(lake, *subjects), recipe(rows_per_wave=30, partitions=8), MODEL).collect()
    assert [r.text for r in found] == ["together"] * 40
    commits = DeltaTable(lake.path(COMPLETIONS)).history()
    transactions = {json.loads(c["userMetadata"])["transaction"] for c in commits if "userMetadata" in c} - {None}
    assert len(transactions) == 2
    assert all(t.startswith(f"{lake.run.run_id}/candidates/") for t in transactions)


@dataclass(frozen=True)
class Sharing:
    """Every answer says how many requests its task has."""

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        share = list(requests)
        return (Answer(r["request_id"], "ok", str(len(share)), endpoint="sharing") for r in share)


def test_the_tasks_of_a_wave_get_equal_shares(open_lake: OpenLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "engine_for", lambda *_: Sharing())
    monkeypatch.setattr(inference, "tasks_of_a_wave", lambda *_, held: 4)
    lake = open_lake(generate_candidates)
    found = complete(lake, requests(lake, *map(str, range(400))), recipe(), MODEL).collect()
    shares = [int(r.text) for r in found]
    assert len(shares) == 400
    assert 98 <= min(shares) <= max(shares) <= 102, (
        "each partition that is dealt out may be one off; by hash they are 10"
    )


@dataclass(frozen=True)
class Mute:
    """A model with nothing to say."""

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        return (Answer(r["request_id"], "empty", "", finish_reason="stop", endpoint="mute") for r in requests)


@dataclass(frozen=True)
class Refusing:
    """A server that refuses everything; or, at no endpoint, a client that does."""

    endpoint: str | None

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        return (Answer(r["request_id"], "refused", error="no", endpoint=self.endpoint) for r in requests)


@dataclass(frozen=True)
class Together:
    """An engine that waits until another copy of it is at work too."""

    folder: str

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        asked = [r["request_id"] for r in requests]
        (Path(self.folder) / f"{asked[0]}.at-work").touch()
        began = time.monotonic()
        while (n := len(list(Path(self.folder).glob("*.at-work")))) < 2 and time.monotonic() - began < 30:
            time.sleep(0.05)
        return (Answer(i, "ok", "together" if n == 2 else "alone", finish_reason="stop", endpoint="x") for i in asked)
