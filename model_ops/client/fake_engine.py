"""An engine without weights, deterministic by request: for fast tests and fault injection only."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_ops.client.engine import Answer


@dataclass(frozen=True)
class FakeEngine:
    """Answers by hash of the request; a prompt that holds `fail_on` fails, as a dead server would."""

    fail_on: str | None = None

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        """One answer for every request, in order."""
        for request in requests:
            yield self._answer(request)

    def _answer(self, request: Mapping[str, Any]) -> Answer:
        request_id, sampling = request["request_id"], json.loads(request["sampling"])
        if self.fail_on and self.fail_on in request["prompt"]:
            return Answer(request_id, "failed", error=f"fake failure on {self.fail_on!r}", endpoint="fake")
        number = int(hashlib.sha256(request_id.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        words = request["prompt"].split()
        counts: dict[str, Any] = {"n_prompt_tokens": len(words), "n_completion_tokens": 1, "endpoint": "fake"}
        if request["span"] is not None and "labels" not in sampling:
            tokens = len(request["span"].split())
            return Answer(request_id, "ok", "", span_logprob=-tokens * (2 + number), span_tokens=tokens,
                          finish_reason="length", **counts)  # fmt: skip
        if "labels" in sampling:
            weights = [math.exp(3 * number * i / len(sampling["labels"])) for i in range(len(sampling["labels"]))]
            shares = {
                label: math.log(0.9 * w / sum(weights)) for label, w in zip(sampling["labels"], weights, strict=True)
            }
            return Answer(request_id, "ok", sampling["labels"][-1], shares, finish_reason="length", **counts)
        if "regex" in sampling:
            text = f"Reads well.\nScore: {1 + int(number * 4.999)}"
        else:
            text = f"What does the text say about {' '.join(words[-3:])}?"
        return Answer(request_id, "ok", text, finish_reason="stop", **counts)
