"""An engine without weights whose answers depend on the request alone: for fast tests and fault injection only."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_ops.client.capabilities import Facts, Request, capability_of
from model_ops.client.engine import Answer


@dataclass(frozen=True)
class FakeEngine:
    """Derives each answer from the hash of the request id; a prompt that contains `fail_on` fails."""

    fail_on: str | None = None

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        """Yield one answer per request, in order."""
        for request in requests:
            yield self._answer(request)

    def _answer(self, row: Mapping[str, Any]) -> Answer:
        request = Request.of(row)
        if self.fail_on and self.fail_on in request.prompt:
            return Answer(request.request_id, "failed", error=f"fake failure on {self.fail_on!r}", endpoint="fake")
        number = int(hashlib.sha256(request.request_id.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        counts: Facts = {"n_prompt_tokens": len(request.prompt.split()), "n_completion_tokens": 1, "endpoint": "fake"}
        return Answer(request.request_id, **(counts | capability_of(request).fake(request, number)))
