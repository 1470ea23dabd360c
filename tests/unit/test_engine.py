"""Passage of a partition of requests through an engine, and its end after failures in a row."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from model_ops.client.engine import ECHOED, Answer, answer_frames
from schemas.bronze import COMPLETIONS


@dataclass(frozen=True)
class Scripted:
    """Gives the answers of a script: `o` ok, `f` failed, `r` refused by the server, `l` too long to send."""

    script: str

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        made = {"o": ("ok", "url"), "f": ("failed", None), "r": ("refused", "url"), "l": ("refused", None)}
        for request, letter in zip(requests, self.script, strict=False):
            status, endpoint = made[letter]
            yield Answer(request["request_id"], status, endpoint=endpoint, error="because" if status != "ok" else None)


def batches(script: str, in_a_row: int) -> list[str]:
    """Return the first letters of the statuses in each batch of answers."""
    frame = pd.DataFrame([dict.fromkeys(ECHOED, "x") | {"request_id": str(n)} for n in range(len(script))])
    run = answer_frames(Scripted(script), "run", 1, in_a_row, rows_per_batch=2)
    return ["".join(status[0] for status in answers["status"]) for answers in run(iter([frame]))]


@dataclass(frozen=True)
class Fixed:
    """Gives the same answer to every request."""

    answer: Answer

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        return (self.answer for _ in requests)


@pytest.mark.parametrize("error", [None, "why"])
def test_a_ledger_row_holds_request_and_answer(error: str | None) -> None:
    answer = Answer("1", "ok", "So.", {"A": -0.5}, -1.5, 3, "stop", 7, 9, error, "url")
    request = {name: f"the {name}" for name in ECHOED} | {"request_id": "1", "prompt": "is not kept"}
    began = datetime.now(UTC)
    (rows,) = answer_frames(Fixed(answer), "run", 2, 5)(iter([pd.DataFrame([request])]))
    assert rows.columns.tolist() == COMPLETIONS.columns
    assert {str(rows[name].dtype) for name in ("span_tokens", "n_prompt_tokens", "n_completion_tokens")} == {"Int32"}
    (row,) = rows.to_dict("records")
    assert began <= row.pop("created_at") <= datetime.now(UTC)
    assert row == {name: request[name] for name in ECHOED} | asdict(answer) | {"run_id": "run", "attempt": 2}


def test_rows_come_in_batches() -> None:
    assert batches("ooooo", 3) == ["oo", "oo", "o"]


def test_an_unstorable_error_text_is_replaced() -> None:
    @dataclass(frozen=True)
    class Garbled:
        def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
            return (Answer(r["request_id"], "failed", error="half \ud800 a character") for r in requests)

    frame = pd.DataFrame([dict.fromkeys(ECHOED, "x") | {"request_id": "1"}])
    (found,) = answer_frames(Garbled(), "run", 1, 5)(iter([frame]))
    assert pa.array(found["error"]).to_pylist() == ["half ? a character"]


@pytest.mark.parametrize(
    ("script", "sent"),
    [
        ("ofofofo", "ofofofo"),
        ("offfooo", "offf"),
        ("offroooo", "offr"),
        ("offlfoo", "offrf"),
        ("ollllo", "orrrro"),
        ("fffo", "fff"),
    ],
    ids=[
        "not in a row",
        "in a row",
        "a server's refusals count",
        "too long does not break a row",
        "nor makes one",
        "from the start",
    ],
)
def test_failures_in_a_row_end_a_partition(script: str, sent: str) -> None:
    assert "".join(batches(script, 3)) == sent
