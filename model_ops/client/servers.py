"""Which server a request goes to: the least loaded of those that answer."""

import asyncio
import random
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

FAULTS_IN_A_ROW = 5  # then a server rests, and one request at a time finds out whether it is back
HUNG = 3.0  # a request that takes so many times the longest wait so far is given up and sent again
KNOWN = 20  # answers that must have come before that is judged

T = TypeVar("T")


@dataclass(frozen=True)
class Timings:
    """Seconds that a client waits for servers, beside the recipe's `timeout` and `patience`."""

    rest: float = 1.0
    """How long a server rests after `FAULTS_IN_A_ROW`."""
    hung: float = 2.0
    """A request is given this long before it counts as hung, however quick the answers so far were."""
    look: float = 1.0
    """How often an open request's limit is computed again: it depends on the answers that came meanwhile."""
    backoff: float = 1.0
    """The longest pause before a request is sent again; it doubles with each attempt."""


class SilenceError(RuntimeError):
    """No server has answered for longer than we wait."""


class MisfitError(RuntimeError):
    """No server is one that the settings fit; the message is what one of them answered."""


@dataclass
class Server:
    """One server, as this client sees it."""

    url: str
    open_requests: int = 0
    faults: int = 0
    """In a row."""
    rests_until: float = 0.0
    """By the monotonic clock, seconds."""
    is_absurd: bool = False
    """Whether its last reply made no sense: it is there, and is asked where no other server is."""
    misfit: str = ""
    """Why no request to it can succeed; it is asked no more."""


class Servers:
    """All servers of one model, each with its own circuit breaker."""

    def __init__(self, urls: Sequence[str], timeout: float, patience: float, timings: Timings) -> None:
        """`timeout` and `patience` are seconds: for one answer, and until any server answers."""
        # Not all tasks begin with the same one.
        self._servers = [Server(url) for url in random.sample(urls, len(urls))]
        self._timeout = timeout
        self.patience = patience
        self._timings = timings
        self._heard = time.monotonic()
        self._answers = 0
        self._longest = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether none has answered for `patience` seconds."""
        return time.monotonic() - self._heard > self.patience

    async def take(self, avoid: Server | None = None) -> Server:
        """The least loaded server that does not rest, with one more open request; waits for one.

        `avoid` comes last: it has just failed at what the server is wanted for.

        Raises:
            SilenceError: none has answered for `patience` seconds.
            MisfitError: the settings fit none of them.
        """
        while True:
            now = time.monotonic()
            is_silent = self.is_silent
            able = [s for s in self._servers if not s.misfit]
            if not able:
                raise MisfitError(self._servers[0].misfit)
            awake = [s for s in able if s.rests_until <= now] or [s for s in able if s.is_absurd]
            server = min(awake, key=lambda s: (s is avoid, s.open_requests), default=None)
            if server and (server.faults < FAULTS_IN_A_ROW or not is_silent):
                if server.faults >= FAULTS_IN_A_ROW:
                    server.rests_until = now + self._timings.rest  # for all but this request
                server.open_requests += 1
                return server
            if is_silent:
                raise SilenceError(f"no server has answered for {self.patience:g} s")
            await asyncio.sleep(min(s.rests_until for s in able) - now + random.uniform(0, 0.1))

    async def unless_hung(self, call: Coroutine[Any, Any, T], times_hung: int | None) -> T:
        """What `call` returns, for a request that hung so many times before; None gives it all the time.

        Raises:
            TimeoutError: it took longer than allowed, or far longer than any answer so far.
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
        """It answered, after so many seconds if that took computing."""
        server.faults, server.rests_until, server.is_absurd, self._heard = 0, 0.0, False, time.monotonic()
        if seconds is not None:
            self._answers += 1
            self._longest = max(self._longest, seconds)

    def failed(self, server: Server, *, unreachable: bool = False, rest: float | None = None) -> bool:
        """Note a fault; whether it may be the request's, and is not just a dead server's.

        `rest` is what the server asked for, seconds.
        """
        server.is_absurd = False
        server.faults = max(server.faults + 1, FAULTS_IN_A_ROW if unreachable else 0)
        if server.faults < FAULTS_IN_A_ROW:
            return True
        server.rests_until = time.monotonic() + max(rest or 0.0, self._timings.rest)
        return False

    def failed_alive(self, server: Server, *, absurd: bool) -> None:
        """Note the fault of a server that is there: it broke off or said so, or its reply is `absurd`."""
        self.failed(server)
        server.is_absurd, self._heard = absurd, time.monotonic()

    def misfit(self, server: Server, why: str) -> None:
        """Leave out a server to which no request can succeed."""
        server.misfit, self._heard = why, time.monotonic()
