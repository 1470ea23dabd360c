"""The capabilities that a request can need of a server, each declared once: request fields, reading, probe and fake.

A request needs exactly one of them. vLLM's client, the handshake and the fake engine read the same
declarations, so a new capability is added here and nowhere else.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from model_ops.client.replies import NO_PROBABILITY, log_probability, require_probabilities
from model_ops.text.chat import ChatFormat

Facts = dict[str, Any]
"""Fields of an `Answer`, its `status` among them."""


@dataclass(frozen=True)
class Request:
    """One request: the fields of a row of `schemas.request.REQUEST` that an engine needs."""

    request_id: str
    system: str
    prompt: str
    prefill: str
    span: str | None
    sampling: Mapping[str, Any]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Build a request from a row and parse its sampling settings from JSON."""
        texts = {name: row[name] for name in ("request_id", "system", "prompt", "prefill", "span")}
        return cls(**texts, sampling=json.loads(row["sampling"]))


@dataclass(frozen=True)
class Tokens:
    """A request as token ids: the prompt with the span, the number of ids before the span, and one id per label."""

    prompt: list[int]
    boundary: int
    labels: Mapping[str, int]

    @classmethod
    def of(cls, request: Request, chat: ChatFormat) -> Self:
        """Encode a request in a model's chat format.

        Raises:
            ChatFormatError: the text has no prompt in this format, or a label is not one token.
        """
        before = chat.prompt_ids(request.system, request.prompt, request.prefill)
        span = [] if request.span is None else chat.text_ids(request.span)
        labels = {label: chat.label_id(request.prefill, label) for label in request.sampling.get("labels", ())}
        return cls(before + span, len(before), labels)


@dataclass(frozen=True)
class Capability:
    """One kind of result that a server can return.

    `field` is the main field of vLLM's request for it, and `body` returns all such fields. `read` takes
    the facts from a choice of vLLM's reply and raises one of `ABSURD` if they are missing. `fake` invents
    facts from a number between 0 and 1. `probe` is the request that proves the capability; None means
    that every server has it.
    """

    field: str
    is_asked: Callable[[Request], bool]
    body: Callable[[Request, Tokens], dict[str, Any]]
    read: Callable[[Request, Tokens, Mapping[str, Any]], Facts]
    fake: Callable[[Request, float], Facts]
    probe: Request | None = None


def capability_of(request: Request) -> Capability:
    """Return the first capability, by precedence, that a request asks for."""
    return next(capability for capability in CAPABILITIES if capability.is_asked(request))


def _probe(**sampling: Any) -> Request:
    return Request("probe", "", "Say yes.", "", None, sampling)


def _read_labels(request: Request, tokens: Tokens, choice: Mapping[str, Any]) -> Facts:
    positions = (choice.get("logprobs") or {}).get("top_logprobs") or []
    names = {label: f"token_id:{token}" for label, token in tokens.labels.items()}
    entries = _only_position(positions) if positions else {}
    if missing := sorted(set(names.values()) - set(entries)):
        raise ValueError(f"no log-probability of {', '.join(missing)}")
    logprobs = {label: log_probability(entries[name], f"the label {label!r}") for label, name in names.items()}
    require_probabilities(logprobs)
    return {"status": "ok", "label_logprobs": logprobs}


def _only_position(positions: list[Any]) -> Any:
    if len(positions) != 1:
        raise ValueError(f"log-probabilities at {len(positions)} positions, not at one")
    return positions[0]


def _fake_labels(request: Request, number: float) -> Facts:
    labels = request.sampling["labels"]
    weights = [math.exp(3 * number * place / len(labels)) for place in range(len(labels))]
    shares = {label: math.log(0.9 * w / sum(weights)) for label, w in zip(labels, weights, strict=True)}
    return {"status": "ok", "text": labels[-1], "label_logprobs": shares, "finish_reason": "length"}


def _read_span(request: Request, tokens: Tokens, choice: Mapping[str, Any]) -> Facts:
    logprobs = choice.get("prompt_logprobs") or []
    if len(logprobs) != len(tokens.prompt):
        raise ValueError(f"log-probabilities of {len(logprobs)} tokens, not {len(tokens.prompt)}")
    span = [*zip(tokens.prompt, logprobs, strict=True)][tokens.boundary :]
    total = math.fsum(_span_token(token, entries) for token, entries in span)
    return {"status": "ok", "text": "", "span_tokens": len(span), "span_logprob": total}


def _span_token(token: int, entries: Mapping[str, Any]) -> float:
    """Return the log-probability of one token of the span, from vLLM's entries for its position."""
    entry = entries.get(str(token))
    if entry is None:
        raise ValueError(f"no log-probability of the prompt's token {token}, but of {', '.join(entries)[:80]}")
    value, rank = entry["logprob"], entry.get("rank")
    if type(value) is not float or not NO_PROBABILITY < value <= 0:
        value = log_probability(value, f"the prompt's token {token}")
        if value <= NO_PROBABILITY:
            raise ValueError(f"the prompt's token {token} has no probability, for its log-probability is {value:g}")
    if rank is not None and (type(rank) is not int or rank < 1):  # vLLM's rank of NaN is 0
        raise ValueError(f"the prompt's token {token} has the rank {rank!r:.80}, and ranks begin at 1")
    return float(value)


def _fake_span(request: Request, number: float) -> Facts:
    n = len((request.span or "").split())
    return {
        "status": "ok",
        "text": "",
        "span_tokens": n,
        "span_logprob": -n * (2 + number),
        "finish_reason": "length",
    }


def _read_text(request: Request, tokens: Tokens, choice: Mapping[str, Any]) -> Facts:
    if not choice["text"].strip():
        return {"status": "empty"}
    return {"status": "cut" if choice["finish_reason"] == "length" else "ok"}


def _fake_text(request: Request, number: float) -> Facts:
    last_words = " ".join(request.prompt.split()[-3:])
    return {"status": "ok", "text": f"What does the text say about {last_words}?", "finish_reason": "stop"}


def _read_constrained(request: Request, tokens: Tokens, choice: Mapping[str, Any]) -> Facts:
    facts, text = _read_text(request, tokens, choice), choice["text"]
    if facts["status"] == "ok" and not re.fullmatch(request.sampling["regex"], text):
        raise ValueError(f"it wrote {text[:80]!r}, which breaks its constraint")
    return facts


def _fake_constrained(request: Request, number: float) -> Facts:
    """Return a rating that the constraint allows, chosen by `number`."""
    fitting = _ratings(request.sampling["regex"])
    if not fitting:
        return {"status": "failed", "error": "the fake engine answers constraints with ratings, and none fits this one"}
    return {"status": "ok", "text": fitting[int(number * (len(fitting) - 0.001))], "finish_reason": "stop"}


@lru_cache(maxsize=64)
def _ratings(regex: str) -> list[str]:
    ratings = (f"Reads well.\nScore: {n}" for n in range(-100, 101))
    return [rating for rating in ratings if re.fullmatch(regex, rating)]


LABELS = Capability(
    field="logprob_token_ids",
    is_asked=lambda request: "labels" in request.sampling,
    body=lambda request, tokens: {
        "logprobs": len(tokens.labels),
        "logprob_token_ids": [*tokens.labels.values()],
        "return_tokens_as_token_ids": True,
    },
    read=_read_labels,
    fake=_fake_labels,
    probe=_probe(max_tokens=1),
)
SPAN = Capability(
    field="prompt_logprobs",
    is_asked=lambda request: request.span is not None,  # without labels, which would come after it
    body=lambda request, tokens: {"prompt_logprobs": 0},
    read=_read_span,
    fake=_fake_span,
    probe=_probe(max_tokens=1),
)
CONSTRAINT = Capability(
    field="structured_outputs",
    is_asked=lambda request: "regex" in request.sampling,
    body=lambda request, tokens: {"structured_outputs": {"regex": request.sampling["regex"]}},
    read=_read_constrained,
    fake=_fake_constrained,
    probe=_probe(max_tokens=8, regex="zq"),
)
TEXT = Capability(
    field="prompt",
    is_asked=lambda request: True,
    body=lambda request, tokens: {},
    read=_read_text,
    fake=_fake_text,
)
CAPABILITIES = (LABELS, SPAN, CONSTRAINT, TEXT)
"""In order of precedence: a request with both labels and a span gets no likelihood of the span."""
