"""An engine that fails, for tests."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_ops.client.engine import Answer


@dataclass(frozen=True)
class Refusing:
    """Refuses every request, as the server at `endpoint`, or as the client if it is None."""

    endpoint: str | None

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        return (Answer(r["request_id"], "refused", error="no", endpoint=self.endpoint) for r in requests)
