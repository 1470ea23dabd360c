"""The ledger: a request is sent only once; a failed one is sent again; too many failures stop the job."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame

from jobs import generate_candidates
from jobs.current.ledger import answers
from jobs.errors import JobError, StoppedError
from jobs.inference.ask import complete
from jobs.inference.serving import EngineServers
from jobs.inference.waves import Stage, send
from jobs.lake.materialised import materialised
from jobs.lake.tables import COMMIT
from jobs.recipe.config import Inference
from model_ops.client.engine import MISFIT, Answer, Engine
from model_ops.client.fake_engine import FakeEngine
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from tests.conftest import OpenLake
from tests.engines import Refusing
from transforms.prompting.requests import requests_from

pytestmark = pytest.mark.spark

MODEL = Model("backward-0-abc", "nowhere", "d" * 64, "base")


def servers(engine: Engine | None = None, **settings: object) -> EngineServers:
    """Return servers that use the engine with these settings."""
    return EngineServers(Inference.model_validate(settings), engine or FakeEngine())


def requests(lake, *subjects: str, prompt: str = "Tell me of ") -> DataFrame:  # type: ignore[no-untyped-def]
    rows = [(s, "", prompt + s, "", None) for s in subjects]
    frame = lake.spark.createDataFrame(
        rows, "subject_id string, system string, prompt string, prefill string, span string"
    )
    return requests_from(frame, stage="candidates", model_id=MODEL.model_id, model_digest=MODEL.digest, prompt_id="p",
                         sampling={"temperature": 0.7})  # fmt: skip


def test_each_request_is_sent_once_over_runs_and_waves(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    first = complete(lake, servers(rows_per_wave=2), MODEL, requests(lake, *"abcde"))
    assert {r.subject_id for r in first.collect()} == set("abcde")
    assert lake.run.n_calls == 5
    assert lake.run.n_tokens > 0

    later = open_lake(generate_candidates)
    again = complete(later, servers(rows_per_wave=2), MODEL, requests(later, *"abcdef"))
    assert again.count() == 6
    assert later.run.n_calls == 1
    assert later.read(COMPLETIONS).count() == 6


def test_the_first_answer_is_the_one_that_was_committed_first(open_lake: OpenLake) -> None:
    """Another run's answer came a second earlier, or from a host whose clock is behind, but was committed later."""
    lake = open_lake(generate_candidates)
    asked = requests(lake, "a")
    (first,) = complete(lake, servers(), MODEL, asked).collect()
    (stored,) = lake.read(COMPLETIONS).collect()
    earlier = stored.asDict() | {
        "run_id": "0" * 32, "text": "of the other run", "created_at": stored.created_at - timedelta(seconds=1),
    }  # fmt: skip
    other = open_lake(generate_candidates)
    other.write(COMPLETIONS, other.spark.createDataFrame([earlier], COMPLETIONS.schema))
    for _ in range(2):
        assert [row.text for row in answers(other, asked, MODEL).collect()] == [first.text]
        other.spark.sql(f"OPTIMIZE delta.`{other.path(COMPLETIONS)}`")


def test_a_ledger_of_an_earlier_release_is_read_and_gets_its_order(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    lake.create(replace(COMPLETIONS, properties={}))
    asked = requests(lake, "a")
    assert answers(lake, asked, MODEL).count() == 0
    complete(open_lake(generate_candidates), servers(), MODEL, asked)
    assert answers(lake, asked, MODEL).count() == 1
    assert [row[COMMIT] > 0 for row in lake.with_commits(COMPLETIONS).collect()] == [True]


@dataclass(frozen=True)
class Counting(EngineServers):
    """Servers that record the number of requests that each task may keep open."""

    n: int = 1
    windows: list[int] = field(default_factory=list)

    def engine_for(self, model: Model, window: int) -> Engine:
        self.windows.append(window)
        return self.engine

    def n_servers(self) -> int:
        return self.n


def test_open_requests_match_the_capacity_of_all_servers(open_lake: OpenLake) -> None:
    lake, windows = open_lake(generate_candidates), []
    for n, subject in ((1, "a"), (3, "b")):
        counting = Counting(Inference(in_flight=10, partitions=1), FakeEngine(), n)
        complete(lake, counting, MODEL, requests(lake, subject))
        windows += counting.windows
    assert windows == [10, 30]


def test_equal_requests_are_sent_once(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    twice = requests(lake, "a").unionByName(requests(lake, "a"))
    complete(lake, servers(), MODEL, twice)
    assert lake.run.n_calls == 1


def test_a_changed_prompt_costs_its_own_rows_only(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    complete(lake, servers(), MODEL, requests(lake, "a", "b"))
    later = open_lake(generate_candidates)
    both = requests(later, "a").unionByName(requests(later, "b", prompt="What of "))
    complete(later, servers(), MODEL, both)
    assert later.run.n_calls == 1


def test_failed_requests_are_resent_and_the_first_good_answer_counts(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    first = complete(lake, servers(FakeEngine("of e"), max_failed_share=0.5), MODEL, requests(lake, *"abcde"))
    assert first.count() == 4
    assert lake.run.n_failed == 2

    later = open_lake(generate_candidates)
    assert complete(later, servers(), MODEL, requests(later, *"abcde")).count() == 5
    assert (later.run.n_calls, later.run.n_failed) == (1, 0)
    ledger = later.read(COMPLETIONS).where("subject_id = 'e'").orderBy("created_at").collect()
    assert [(r.status, r.attempt) for r in ledger] == [("failed", 1), ("failed", 2), ("ok", 1)]


def test_one_request_that_always_fails_does_not_stop_the_run(open_lake: OpenLake) -> None:
    """The failed share is that of the whole stage; all requests that are sent again may fail."""
    subjects = [f"s{n}" for n in range(60)]
    for n_calls in (61, 2):
        lake = open_lake(generate_candidates)
        assert complete(lake, servers(FakeEngine("of s7")), MODEL, requests(lake, *subjects)).count() == 59
        assert (lake.run.n_calls, lake.run.n_failed) == (n_calls, 2)


def test_a_later_run_resends_refused_requests_once(open_lake: OpenLake) -> None:
    """The request or the server may be at fault. A request that our client refuses is settled."""
    calls = []
    for endpoint in ("gpu", None):
        for _ in range(3):
            lake = open_lake(generate_candidates)
            asked = requests(lake, "a", prompt=f"At {endpoint} of ")
            complete(lake, servers(Refusing(endpoint), max_failed_share=1.0), MODEL, asked)
            calls.append((lake.run.n_calls, lake.run.n_failed))
    assert calls == [(1, 1), (1, 1), (0, 0), (1, 0), (0, 0), (0, 0)]


def test_too_many_failures_stop_the_job_and_keep_the_good_answers(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    with pytest.raises(
        StoppedError, match=r"candidates: 1 of 2 requests failed, at most 0 may .* e.g. fake failure on 'of a'"
    ):
        complete(lake, servers(FakeEngine("of a"), max_failed_share=0.0), MODEL, requests(lake, "a", "b"))
    assert answers(lake, requests(lake, "a", "b"), MODEL).count() == 1
    assert StoppedError.exit_code == 3


def test_consecutive_failures_stop_sending(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    limits = servers(FakeEngine("Tell"), max_failed_in_a_row=3, max_failed_share=1.0)
    with pytest.raises(StoppedError, match=r"3 in a row failed, so 4 were not sent; e\.g\. fake failure"):
        complete(lake, limits, MODEL, requests(lake, *"abcdefg"))
    assert (lake.run.n_calls, lake.read(COMPLETIONS).count()) == (3, 3)


def test_settings_that_fit_no_server_end_the_job_and_keep_the_answers(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    with pytest.raises(
        JobError, match=r"^candidates: the settings do not fit the servers: HTTP 401 .* after correcting the settings$"
    ) as caught:
        complete(lake, servers(Misfit(), max_failed_share=1.0, partitions=1), MODEL, requests(lake, *"abcde"))
    assert caught.value.exit_code == 1
    assert lake.run.n_calls == 2
    assert answers(lake, requests(lake, *"abcde"), MODEL).count() == 1


def test_counts_of_tokens_add_up_past_32_bits(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    complete(lake, servers(Wordy()), MODEL, requests(lake, *"abc"))
    assert lake.run.n_tokens == 3 * 2 * (2**31 - 1)


def test_an_empty_answer_is_requested_once_more_and_then_final(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    assert complete(lake, servers(Mute()), MODEL, requests(lake, "a", "b")).count() == 2
    assert (lake.run.n_calls, lake.read(COMPLETIONS).count()) == (4, 4), "every answer is in the ledger"
    later = open_lake(generate_candidates)
    assert [r.status for r in complete(later, servers(Mute()), MODEL, requests(later, "a", "b")).collect()] == [
        "empty"
    ] * 2
    assert later.run.n_calls == 0


def test_a_changed_ask_again_resends_once(open_lake: OpenLake) -> None:
    calls = []
    for ask_again in ((), ("empty",), ("empty",)):
        lake = open_lake(generate_candidates)
        assert complete(lake, servers(Mute(), ask_again=ask_again), MODEL, requests(lake, "a", "b")).count() == 2
        calls.append(lake.run.n_calls)
    assert calls == [2, 2, 0]


def test_two_waves_are_open_at_once_and_each_is_a_commit_of_its_own(open_lake: OpenLake, tmp_path: Path) -> None:
    lake = open_lake(generate_candidates)
    subjects = [f"s{n}" for n in range(40)]
    found = complete(
        lake, servers(Together(str(tmp_path)), rows_per_wave=30, partitions=8), MODEL, requests(lake, *subjects)
    ).collect()
    assert [r.text for r in found] == ["together"] * 40
    commits = DeltaTable(lake.path(COMPLETIONS)).history()
    transactions = {json.loads(c["userMetadata"])["transaction"] for c in commits if "userMetadata" in c} - {None}
    assert len(transactions) == 2
    assert all(t.startswith(f"{lake.run.run_id}/candidates/") for t in transactions)


@dataclass(frozen=True)
class Sharing:
    """An engine whose answers are the number of requests of their task."""

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        share = list(requests)
        return (Answer(r["request_id"], "ok", str(len(share)), endpoint="sharing") for r in share)


def test_the_tasks_of_a_wave_get_equal_shares(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    asked = materialised(requests(lake, *map(str, range(400))))
    send(lake, Stage(asked, 400, 400), Sharing(), Inference(), tasks=4)
    found = answers(lake, asked, MODEL).collect()
    shares = [int(r.text) for r in found]
    assert shares == [100] * 400


@dataclass(frozen=True)
class Placing:
    """An engine whose answers name the task, by its first request, and the place of a request among the task's."""

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        asked = [r["request_id"] for r in requests]
        return (Answer(name, "ok", f"{asked[0]} {n}", endpoint="placing") for n, name in enumerate(asked))


def test_samples_of_a_prompt_and_prompts_with_a_common_beginning_are_neighbours(open_lake: OpenLake) -> None:
    lake = open_lake(generate_candidates)
    rows = [(f"{n}", "", f"{n % 7} {'is common ' * 20}{n}", "", None) for n in range(70)]
    frame = lake.spark.createDataFrame(
        rows, "subject_id string, system string, prompt string, prefill string, span string"
    )
    asked = materialised(requests_from(frame, stage="candidates", model_id=MODEL.model_id, model_digest=MODEL.digest,
                                       prompt_id="p", sampling={"temperature": 0.7}, samples=3))  # fmt: skip
    send(lake, Stage(asked, 210, 210), Placing(), Inference(rows_per_wave=60), tasks=2)
    of_task: dict[str, dict[int, str]] = {}
    for row in answers(lake, asked, MODEL).join(asked.select("request_id", "prompt"), "request_id").collect():
        task, place = row.text.split()
        of_task.setdefault(task, {})[int(place)] = row.prompt
    orders = [[prompts[place] for place in sorted(prompts)] for prompts in of_task.values()]
    assert len(orders) == 8, "two tasks in each of four waves"
    assert sum(len(order) for order in orders) == 210
    for order in orders:
        assert order == sorted(order)
    assert sum(len({*order}) for order in orders) <= 70 + 4, "a wave's tasks can share the samples of one prompt"


@dataclass(frozen=True)
class Mute:
    """An engine whose answers are all empty."""

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        return (Answer(r["request_id"], "empty", "", finish_reason="stop", endpoint="mute") for r in requests)


@dataclass(frozen=True)
class Misfit:
    """An engine whose server answers one request and then rejects the API key."""

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        yield Answer(next(requests)["request_id"], "ok", "Fine.", finish_reason="stop", endpoint="gpu")
        yield Answer(next(requests)["request_id"], "failed", error=f"{MISFIT}HTTP 401 from gpu")


@dataclass(frozen=True)
class Wordy:
    """An engine that reports the highest token counts that the ledger can hold."""

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        most = {"n_prompt_tokens": 2**31 - 1, "n_completion_tokens": 2**31 - 1}
        return (Answer(r["request_id"], "ok", "Fine.", finish_reason="stop", endpoint="gpu", **most) for r in requests)


@dataclass(frozen=True)
class Together:
    """An engine that waits until a second copy of it has started."""

    folder: str

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        asked = [r["request_id"] for r in requests]
        (Path(self.folder) / f"{asked[0]}.at-work").touch()
        began = time.monotonic()
        while (n := len(list(Path(self.folder).glob("*.at-work")))) < 2 and time.monotonic() - began < 30:
            time.sleep(0.05)
        return (Answer(i, "ok", "together" if n == 2 else "alone", finish_reason="stop", endpoint="x") for i in asked)
