"""How a partition of requests passes through an engine, and when it stops asking."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from model_ops.client.engine import ECHOED, Answer, through


@dataclass(frozen=True)
class Scripted:
    """Gives the answers of a script: `o`k, `f`ailed, `r`efused by the server, `l`: too long to be sent."""

    script: str

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        made = {"o": ("ok", "url"), "f": ("failed", None), "r": ("refused", "url"), "l": ("refused", None)}
        for request, letter in zip(requests, self.script, strict=False):
            status, endpoint = made[letter]
            yield Answer(request["request_id"], status, endpoint=endpoint, error="because" if status != "ok" else None)


def statuses(script: str, in_a_row: int) -> str:
    frame = pd.DataFrame([dict.fromkeys(ECHOED, "x") | {"request_id": str(n)} for n in range(len(script))])
    run = through(Scripted(script), "run", 1, in_a_row, rows_per_batch=2)
    return "".join(status[0] for answers in run(iter([frame])) for status in answers["status"])


def test_a_reason_that_is_no_text_can_be_stored() -> None:
    @dataclass(frozen=True)
    class Garbled:
        def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
            return (Answer(r["request_id"], "failed", error="half \ud800 a character") for r in requests)

    frame = pd.DataFrame([dict.fromkeys(ECHOED, "x") | {"request_id": "1"}])
    (found,) = through(Garbled(), "run", 1, 5)(iter([frame]))
    assert pa.array(found["error"]).to_pylist() == ["half ? a character"]


@pytest.mark.parametrize(
    ("script", "sent"),
    [
        ("ofofofo", "ofofofo"),
        ("offfooo", "offf"),
        ("offroooo", "offr"),
        ("offlfoo", "offrf"),
        ("ollllo", "orrrro"),
    ],
    ids=["not in a row", "in a row", "a server's refusals count", "too long does not break a row", "nor makes one"],
)
def test_failures_in_a_row_end_a_partition(script: str, sent: str) -> None:
    assert statuses(script, 3) == sent
