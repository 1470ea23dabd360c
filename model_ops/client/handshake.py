"""Proof, before the first request, that a server has every capability: vLLM ignores unknown fields with HTTP 200."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from model_ops.client.apis import AbsurdReplyError, ChatCompletions
from model_ops.client.capabilities import CAPABILITIES, Capability, Tokens
from model_ops.client.endpoint import Endpoint, EndpointError
from model_ops.client.replies import ABSURD, Meaning, choice_of, without_key
from model_ops.text.chat import ChatFormat

LONGEST_BACKOFF = 5.0
BRIEF = 3.0
QUESTION = "Which number is larger? Reply with the number alone: 1 or 2."

log = logging.getLogger(__name__)

T = TypeVar("T")


class HandshakeError(EndpointError):
    """A server that answers, but does not serve the model or ignores a field that requests rely on."""

    def __init__(self, message: str, means: Meaning = Meaning.MISFIT) -> None:
        """`means` decides whether the handshake may be repeated."""
        super().__init__(message, means=means)


@dataclass(frozen=True)
class Patience:
    """The limits within which a call to a server is repeated: those of requests."""

    seconds: float
    """Time limit for a server that is silent or busy."""
    attempts: int
    """Number of attempts at a server that fails or sends a malformed reply."""
    pause: Callable[[float], None] = time.sleep

    @property
    def brief(self) -> "Patience":
        """The same with at most `BRIEF` seconds, for one server of several."""
        return replace(self, seconds=min(self.seconds, BRIEF))

    @property
    def of_silence(self) -> "Patience":
        """The same with one attempt, for a call that already repeats its failures."""
        return replace(self, attempts=1)

    def wait_for(self, call: Callable[[], T]) -> T:
        """Repeat `call` until it succeeds, and return its result.

        Raises:
            EndpointError: the last error, when the limits are reached, or one that a repetition cannot mend.
        """
        began, n, faults, paused = time.monotonic(), 0, 0, 0.0
        while True:
            try:
                return call()
            except EndpointError as error:
                n, faults = n + 1, faults + (error.means is not Meaning.BUSY)
                is_over = faults >= self.attempts or max(paused, time.monotonic() - began) >= self.seconds
                if error.means in (Meaning.MISFIT, Meaning.REFUSED) or is_over:
                    raise
                if n == 1:
                    log.warning("asking again for up to %g s: %s", self.seconds, error)
                backoff = min(0.1 * 2**n, LONGEST_BACKOFF)
                seconds = backoff if error.retry_after is None else error.retry_after
                self.pause(seconds)
                paused += seconds


def probe(endpoint: Endpoint, model: str, chat: ChatFormat) -> int:
    """Check that `model` is served with every capability, and return its maximum context in tokens.

    Raises:
        HandshakeError: names the server and the first capability that it lacks.
        EndpointError: the server does not answer, or refuses a probe.
    """
    served = endpoint.served_models()
    if model not in served:
        names = ", ".join(sorted(served)) or "nothing"
        raise HandshakeError(f"{endpoint.url} does not serve {model}; it serves {names}")
    for capability in CAPABILITIES:
        if fault := _fault(endpoint, model, chat, capability):
            reason = without_key(fault, endpoint.key)
            raise HandshakeError(f"{endpoint.url} ignores {capability.field}: {reason}", Meaning.TROUBLED)
    if not served[model]:
        raise HandshakeError(f"{endpoint.url} does not report max_model_len for {model}; use vLLM's own server")
    return served[model]


def probe_chat(endpoint: Endpoint, api: ChatCompletions) -> None:
    """Check that a chat API answers, with log-probabilities if requests will read them.

    Raises:
        HandshakeError: the answer is not what requests need.
        EndpointError: the server does not answer, or refuses the question.
    """
    labels = ["1", "2"]
    request = {"request_id": "probe", "system": "", "prompt": QUESTION, "prefill": "", "span": None}
    call = api.call(request | {"sampling": json.dumps({"labels": labels, "max_tokens": 1, "temperature": 0})})
    reply = endpoint.call(api.route, call.body)
    try:
        api.read(call, json.dumps(reply).encode(), endpoint.url)
    except AbsurdReplyError as error:
        reason = without_key(str(error), endpoint.key)
        raise HandshakeError(f"{endpoint.url}{api.route} asked for {api.model}: {reason}", Meaning.TROUBLED) from error


def require_parity(endpoint: Endpoint, model: str, reference: Sequence[Mapping[str, list[int]]]) -> None:
    """Check that a server repeats the greedy answers that the model gave at the end of its training.

    A server that ignores an adapter, or computes with other weights, answers all other probes.

    Raises:
        HandshakeError: an answer differs.
        EndpointError: the server does not answer.
    """
    for place, one in enumerate(reference, 1):
        expected = one["tokens"]
        body = {"model": model, "prompt": one["prompt"], "temperature": 0, "max_tokens": len(expected)}
        reply = endpoint.call("/completions", body | {"return_token_ids": True, "ignore_eos": True})
        try:
            choice = choice_of(reply)
        except ABSURD as error:
            raise HandshakeError(f"{endpoint.url}: {error}", Meaning.TROUBLED) from error
        if choice.get("token_ids") != expected:
            wrote = without_key(repr(choice["text"][:80]), endpoint.key)
            raise HandshakeError(
                f"{endpoint.url} answers {model} otherwise than its training did, at {place} of {len(reference)} "
                f"held-out prompts: it wrote {wrote}, tokens {choice.get('token_ids')} instead of {expected}; it may "
                "ignore the adapter or serve other weights: restart it with the model's folder"
            )


def require_echo(endpoint: Endpoint, model: str, chat: ChatFormat) -> None:
    """Check that a server returns the log-probabilities of a prompt's tokens in the way that OpenAI's API had.

    lm-evaluation-harness reads them so; a server that leaves them out makes every answer a matter of chance.

    Raises:
        HandshakeError: they are missing.
        EndpointError: the server does not answer.
    """
    ids = chat.prompt_ids("", "Say yes.")
    body = {"model": model, "prompt": ids, "temperature": 0, "max_tokens": 1, "logprobs": 1, "echo": True}
    reply = endpoint.call("/completions", body)
    try:
        values = choice_of(reply)["logprobs"]["token_logprobs"]
        is_sound = len(values) == len(ids) + 1 and all(type(value) is float for value in values[1:])
    except ABSURD:
        is_sound = False
    if not is_sound:
        raise HandshakeError(
            f"{endpoint.url} returns no log-probabilities of a prompt's tokens (echo with logprobs), which "
            "lm-evaluation-harness needs; use vLLM's own server"
        )


def _fault(endpoint: Endpoint, model: str, chat: ChatFormat, capability: Capability) -> str | None:
    """Return the fault in the answer to a capability's probe, or None."""
    request = capability.probe
    if request is None:
        return None
    ids = chat.prompt_ids(request.system, request.prompt, request.prefill)
    # Any two tokens serve as labels, which a server hardly names unasked; all tokens but the first serve as a span.
    one, other = [*dict.fromkeys(ids)][:2]
    tokens = Tokens(ids, boundary=1, labels={"one": one, "other": other})
    body = {"model": model, "prompt": ids, "temperature": 0, "max_tokens": request.sampling["max_tokens"]}
    reply = endpoint.call("/completions", body | capability.body(request, tokens))
    try:
        choice = choice_of(reply)
        facts = capability.read(request, tokens, choice)
    except ABSURD as error:
        return str(error)
    return None if facts["status"] == "ok" else f"it wrote {choice['text'][:80]!r}"
