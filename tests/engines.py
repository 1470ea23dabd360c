"""Engines that answer as no sound server does."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_ops.client.engine import Answer


@dataclass(frozen=True)
class Refusing:
    """A server that refuses everything; or, at no endpoint, a client that does."""

    endpoint: str | None

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        return (Answer(r["request_id"], "refused", error="no", endpoint=self.endpoint) for r in requests)
