"""Text in, text out: what an engine is, and how a partition of requests passes through it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pandas as pd

from schemas.bronze import COMPLETIONS, ERROR_CHARS


@dataclass(frozen=True)
class Answer:
    """What came back for one request; the columns of the ledger that a model decides.

    `status` is `ok`; `cut` (out of tokens) or `empty`; `failed` (no server answered: ask again)
    or `refused` (the request itself is at fault: asking again is no use).
    """

    request_id: str
    status: str
    text: str | None = None
    label_logprobs: dict[str, float] | None = None
    span_logprob: float | None = None
    span_tokens: int | None = None
    finish_reason: str | None = None
    n_prompt_tokens: int | None = None
    n_completion_tokens: int | None = None
    error: str | None = None
    endpoint: str | None = None


MISFIT = "the settings do not fit the servers: "
"""How the error of a `failed` answer begins where no request can be answered before a person has mended something."""


class Engine(Protocol):
    """Answers requests, in any order, holding only a bounded number of them at a time."""

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        """One answer for every request; never raises for what one request or server does."""
        ...


ECHOED = ("stage", "model_id", "subject_id", "prompt_id", "system", "prefill", "part", "sampling", "sample")


def through(
    engine: Engine, run_id: str, attempt: int, max_failed_in_a_row: int, rows_per_batch: int = 64
) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """A function for `mapInPandas`: request frames in, rows of the ledger out.

    The engine travels to the workers, where one window of requests moves across all batches of a
    partition, so that the servers never run dry between two of them. When so many answers in a row
    are failures, or a server's refusals, the rest of the partition is not sent and has no answer.
    """

    def run(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        asked: dict[str, Mapping[str, Any]] = {}
        in_a_row = 0

        def requests() -> Iterator[Mapping[str, Any]]:
            for frame in frames:
                for values in frame.itertuples(index=False, name=None):
                    record = dict(zip(frame.columns, values, strict=True))
                    if in_a_row >= max_failed_in_a_row:
                        return
                    asked[record["request_id"]] = record
                    yield record

        rows: list[dict[str, Any]] = []
        for answer in engine.answers(requests()):
            request = asked.pop(answer.request_id)
            if answer.status == "failed" or (answer.status == "refused" and answer.endpoint):
                in_a_row += 1
            elif answer.endpoint:
                in_a_row = 0
            facts = asdict(answer) | {name: request[name] for name in ECHOED}
            facts |= {"run_id": run_id, "attempt": attempt, "created_at": datetime.now(UTC)}
            # A server's words may be no text that can be stored, and that would end the job.
            facts["error"] = (answer.error or "").encode(errors="replace").decode()[:ERROR_CHARS] or None
            rows.append(facts)
            if len(rows) == rows_per_batch:
                yield _frame(rows)
                rows = []
        if rows:
            yield _frame(rows)

    return run


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=COMPLETIONS.columns)
    for name in ("span_tokens", "n_prompt_tokens", "n_completion_tokens"):
        frame[name] = frame[name].astype("Int32")
    return frame
