"""The engine interface, and the function that sends a partition of requests through an engine."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pandas as pd

from schemas.bronze import COMPLETIONS, ERROR_CHARS


@dataclass(frozen=True)
class Answer:
    """The answer to one request: the columns of the ledger that the model determines.

    `status` is `ok`, `cut` (out of tokens), `empty`, `failed` (no server answered; a retry may succeed)
    or `refused` (the request is at fault; a retry cannot succeed).
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
"""Prefix of the error of a `failed` answer where every request fails until a person mends the settings or servers."""


class Engine(Protocol):
    """Interface of an engine: answers requests in any order, and holds a bounded number of them at a time."""

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        """Yield one answer per request; a fault of one request or server never raises."""
        ...


ECHOED = ("stage", "model_id", "subject_id", "prompt_id", "system", "prefill", "part", "sampling", "sample")


def answer_frames(
    engine: Engine, run_id: str, attempt: int, max_failed_in_a_row: int, rows_per_batch: int = 64
) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """Return a function for `mapInPandas` that turns frames of requests into rows of the ledger.

    The engine is sent to the workers, where one window of requests spans all batches of a partition,
    so the servers stay busy between batches. After `max_failed_in_a_row` failures or refusals by a
    server in a row, the rest of the partition is not sent and gets no answer.
    """

    def run(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        pending: dict[str, Mapping[str, Any]] = {}
        in_a_row = 0

        def requests() -> Iterator[Mapping[str, Any]]:
            for frame in frames:
                for values in frame.itertuples(index=False, name=None):
                    record = dict(zip(frame.columns, values, strict=True))
                    if in_a_row >= max_failed_in_a_row:
                        return
                    pending[record["request_id"]] = record
                    yield record

        rows: list[dict[str, Any]] = []
        for answer in engine.answers(requests()):
            request = pending.pop(answer.request_id)
            if answer.status == "failed" or (answer.status == "refused" and answer.endpoint):
                in_a_row += 1
            elif answer.endpoint:
                in_a_row = 0
            facts = asdict(answer) | {name: request[name] for name in ECHOED}
            facts |= {"run_id": run_id, "attempt": attempt, "created_at": datetime.now(UTC)}
            # A server's message may hold characters that cannot be stored, which would end the job.
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
