"""Load balancing over the servers of a model: a request goes to the least loaded server that answers.

A server that has just received a prompt with the same beginning comes first, within limits, as it has that in its
cache.
"""

import asyncio
import random
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

FAULTS_IN_A_ROW = 5  # then a server rests, and one request at a time tests whether it is back
HUNG = 3.0  # a request that takes this multiple of the longest wait so far is given up and sent again
KNOWN = 20  # answers needed before a request can count as hung
CACHED = 32  # tokens of a common beginning that a server can reuse; vLLM's cache has blocks of 16 or, here, 32

T = TypeVar("T")


@dataclass(frozen=True)
class Timings:
    """Waiting times of a client in seconds, in addition to the recipe's `timeout` and `patience`."""

    rest: float = 1.0
    """Rest of a server after `FAULTS_IN_A_ROW`."""
    hung: float = 2.0
    """Minimum time before a request counts as hung, however quick the answers so far were."""
    look: float = 1.0
    """Interval at which the time limit of an open request is recomputed from the answers received since."""
    backoff: float = 1.0
    """Maximum pause before the first retry; it doubles with each attempt."""


class SilenceError(RuntimeError):
    """No server has answered for `patience` seconds."""


class MisfitError(RuntimeError):
    """The settings fit no server; the message holds one server's answer."""


@dataclass
class Server:
    """The state of one server, as this client sees it."""

    url: str
    open_requests: int = 0
    faults: int = 0
    """Number of faults in a row."""
    rests_until: float = 0.0
    """End of its rest by the monotonic clock, in seconds."""
    is_absurd: bool = False
    """True after a malformed reply; a server like this is used even while it rests, if all others rest too."""
    misfit: str = ""
    """Reason why no request to it can succeed; it gets no more requests."""
    last: Sequence[int] = ()
    """The token ids of the prompt that it received last."""


class Servers:
    """All servers of one model, with one circuit breaker per server."""

    def __init__(
        self, urls: Sequence[str], timeout: float, patience: float, timings: Timings, max_lead: int = 0
    ) -> None:
        """Set the limits in seconds: `timeout` for one answer, `patience` until any server answers.

        A server gets a request for its cache's sake only if it has at most `max_lead` open requests more than the least
        loaded one.
        """
        # Shuffled, so that tasks begin with different servers.
        self._servers = [Server(url) for url in random.sample(urls, len(urls))]
        self._timeout = timeout
        self.patience = patience
        self._timings = timings
        self._max_lead = max_lead
        self._heard = time.monotonic()
        self._answers = 0
        self._longest = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether no server has answered for `patience` seconds."""
        return time.monotonic() - self._heard > self.patience

    async def take(self, prompt: Sequence[int], avoid: Server | None = None) -> Server:
        """Wait for a server that does not rest, and count one more open request, with the token ids `prompt`, on it.

        `avoid` is the last choice: the request has just failed there.

        Raises:
            SilenceError: no server has answered for `patience` seconds.
            MisfitError: the settings fit no server.
        """
        while True:
            now = time.monotonic()
            is_silent = self.is_silent
            able = [s for s in self._servers if not s.misfit]
            if not able:
                raise MisfitError(self._servers[0].misfit)
            awake = [s for s in able if s.rests_until <= now] or [s for s in able if s.is_absurd]
            server = self._choice(awake, prompt, avoid)
            if server and (server.faults < FAULTS_IN_A_ROW or not is_silent):
                if server.faults >= FAULTS_IN_A_ROW:
                    server.rests_until = now + self._timings.rest  # for all but this request
                server.open_requests += 1
                server.last = prompt
                return server
            if is_silent:
                raise SilenceError(f"no server has answered for {self.patience:g} s")
            await asyncio.sleep(min(s.rests_until for s in able) - now + random.uniform(0, 0.1))

    def _choice(self, awake: Sequence[Server], prompt: Sequence[int], avoid: Server | None) -> Server | None:
        """Return the server with the longest beginning of `prompt` in its cache or, without a gain, the least loaded.

        Neighbours in a task's requests have the longest common beginnings, so the last prompt of each server is enough
        to compare with.
        """
        least = min(awake, key=lambda s: (s is avoid, s.open_requests), default=None)
        if least is None or least is avoid or not self._max_lead:
            return least
        near = [s for s in awake if s is not avoid and s.open_requests - least.open_requests <= self._max_lead]
        cached = {s.url: n_common(s.last, prompt) for s in near}
        best = max(near, key=lambda s: (cached[s.url], -s.open_requests))
        return best if cached[best.url] - cached[least.url] >= CACHED else least

    async def unless_hung(self, call: Coroutine[Any, Any, T], times_hung: int | None) -> T:
        """Await `call`, and give it up as hung when it takes far longer than any answer so far.

        The limit doubles with `times_hung`; None leaves `timeout` alone as the limit.

        Raises:
            TimeoutError: no result within the limit.
        """
        began, task = time.monotonic(), asyncio.ensure_future(call)
        while True:
            limit = self._timeout
            if times_hung is not None and self._answers >= KNOWN:
                limit = min(limit, max(self._timings.hung, HUNG * self._longest) * 2.0**times_hung)
            left = began + limit - time.monotonic()
            if left <= 0:
                task.cancel()
                raise TimeoutError(f"no answer within {limit:.0f} s")
            if (await asyncio.wait([task], timeout=min(left, self._timings.look)))[0]:
                return task.result()

    def answered(self, server: Server, seconds: float | None = None) -> None:
        """Note an answer, and its seconds if the model computed it."""
        server.faults, server.rests_until, server.is_absurd, self._heard = 0, 0.0, False, time.monotonic()
        if seconds is not None:
            self._answers += 1
            self._longest = max(self._longest, seconds)

    def failed(self, server: Server, *, unreachable: bool = False, rest: float | None = None) -> bool:
        """Note a fault, and return whether it counts against the request: not if the server is taken for dead.

        `rest` is the pause that the server asked for, in seconds.
        """
        server.is_absurd = False
        server.faults = max(server.faults + 1, FAULTS_IN_A_ROW if unreachable else 0)
        if server.faults < FAULTS_IN_A_ROW:
            return True
        server.rests_until = time.monotonic() + max(rest or 0.0, self._timings.rest)
        return False

    def failed_alive(self, server: Server, *, absurd: bool) -> None:
        """Note the fault of a server that is up: it reported one or broke off, or its reply is `absurd` (malformed)."""
        self.failed(server)
        server.is_absurd, self._heard = absurd, time.monotonic()

    def misfit(self, server: Server, why: str) -> None:
        """Exclude a server at which no request can succeed."""
        server.misfit, self._heard = why, time.monotonic()


def n_common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the length of the common beginning of two sequences."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
