"""What a server must prove before the first request: vLLM ignores fields it does not know, with HTTP 200."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from model_ops.client.capabilities import CAPABILITIES, Capability, Tokens
from model_ops.client.endpoint import Endpoint, EndpointError
from model_ops.client.replies import ABSURD, Meaning, choice_of, without_key
from model_ops.text.chat import ChatFormat

LONGEST_BACKOFF = 5.0
BRIEF = 3.0

log = logging.getLogger(__name__)

T = TypeVar("T")


class HandshakeError(EndpointError):
    """A server that answers, but does not serve the model or ignores something that we rely on."""

    def __init__(self, message: str, means: Meaning = Meaning.MISFIT) -> None:
        """`means`: whether asking again may help."""
        super().__init__(message, means=means)


@dataclass(frozen=True)
class Patience:
    """How long a look at a server is repeated: as long as requests to it would be."""

    seconds: float
    """For a server that is silent or busy."""
    attempts: int
    """At one that is there and fails or answers nonsense."""
    pause: Callable[[float], None] = time.sleep

    @property
    def brief(self) -> "Patience":
        """For one server of several: enough for a server that is busy for a moment."""
        return replace(self, seconds=min(self.seconds, BRIEF))

    @property
    def of_silence(self) -> "Patience":
        """For a look within which failures are repeated already."""
        return replace(self, attempts=1)

    def wait_for(self, look: Callable[[], T]) -> T:
        """What `look` returns, once it does.

        Raises:
            EndpointError: the last one, when patience has ended, or one that no repetition can help.
        """
        began, n, faults, paused = time.monotonic(), 0, 0, 0.0
        while True:
            try:
                return look()
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
    """Prove that `model` is served with every capability; its longest context in tokens.

    Raises:
        HandshakeError: names the server and the first thing that it does not do.
        EndpointError: it does not answer, or refuses what it is asked.
    """
    served = endpoint.served_models()
    if model not in served:
        names = ", ".join(sorted(served)) or "nothing"
        raise HandshakeError(f"{endpoint.url} does not serve {model}; it serves {names}")
    for capability in CAPABILITIES:
        if fault := _fault(endpoint, model, chat, capability):
            said = without_key(fault, endpoint.key)
            raise HandshakeError(f"{endpoint.url} ignores {capability.field}: {said}", Meaning.TROUBLED)
    if not served[model]:
        raise HandshakeError(f"{endpoint.url} does not say max_model_len of {model}")
    return served[model]


def _fault(endpoint: Endpoint, model: str, chat: ChatFormat, capability: Capability) -> str | None:
    """What is wrong with the answer to a capability's probe, None if nothing is."""
    request = capability.probe
    if request is None:
        return None
    ids = chat.prompt_ids(request.system, request.prompt, request.prefill)
    # Any two tokens are labels here, which a server would hardly name unasked, and all but the first token a span.
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
