"""Choice of the server for a request, and limits on waiting, with a clock that the tests advance."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from model_ops.client import servers
from model_ops.client.servers import (
    CACHED,
    FAULTS_IN_A_ROW,
    KNOWN,
    MisfitError,
    Server,
    Servers,
    SilenceError,
    Timings,
    n_common,
)

PATIENCE, TIMEOUT, REST = 10.0, 60.0, 1.5


@dataclass
class Clock:
    """A clock that advances only when a task waits."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)
    at_a_look: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    async def wait(self, tasks: list[asyncio.Task[Any]], timeout: float) -> tuple[set[asyncio.Task[Any]], None]:
        await self.sleep(timeout)
        self.at_a_look()
        for _ in range(3):  # rounds of the loop, in which the task sees that
            await asyncio.sleep(0)
        return {task for task in tasks if task.done()}, None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    stand_in = SimpleNamespace(sleep=clock.sleep, wait=clock.wait, ensure_future=asyncio.ensure_future)
    monkeypatch.setattr(servers, "time", clock)
    monkeypatch.setattr(servers, "asyncio", stand_in)
    monkeypatch.setattr(
        servers,
        "random",
        SimpleNamespace(sample=lambda of, n: [of[i] for i in range(n)], uniform=lambda low, high: (low + high) / 2),
    )
    return clock


def made(*urls: str, max_lead: int = 0, **timings: float) -> Servers:
    return Servers(urls or ("a", "b"), TIMEOUT, PATIENCE, Timings(**{"rest": REST} | timings), max_lead)


def taken(of: Servers, avoid: Server | None = None, prompt: Sequence[int] = ()) -> Server:
    return asyncio.run(of.take(prompt, avoid))


def each(of: Servers) -> dict[str, Server]:
    return {server.url: server for server in of._servers}


def dead(of: Servers, server: Server) -> list[bool]:
    return [of.failed(server) for _ in range(FAULTS_IN_A_ROW)]


@pytest.mark.usefixtures("clock")
def test_a_request_goes_to_the_least_loaded() -> None:
    of = made()
    a, b = taken(of), taken(of)
    assert (a.url, b.url, taken(of).url) == ("a", "b", "a")
    assert (a.open_requests, b.open_requests) == (2, 1)
    a.open_requests = 0
    assert taken(of) is a


SAME, OTHER = list(range(2 * CACHED)), [9, *range(2 * CACHED)]


@pytest.mark.usefixtures("clock")
def test_requests_with_a_common_beginning_go_to_the_same_server() -> None:
    of = made(max_lead=3)
    urls = [taken(of, prompt=[*prompt, n]).url for prompt in (SAME, OTHER) for n in range(3)]
    assert urls == ["a", "a", "a", "b", "b", "b"]
    short = made(max_lead=3)
    assert [taken(short, prompt=SAME[: CACHED - 1]).url for _ in range(2)] == ["a", "b"], "no block of a cache"


@pytest.mark.usefixtures("clock")
def test_a_server_gets_no_more_than_its_lead_for_its_cache() -> None:
    of = made(max_lead=3)
    a, b = each(of).values()
    assert [taken(of, prompt=SAME).url for _ in range(5)] == ["a"] * 4 + ["b"]
    assert [taken(of, prompt=SAME).url for _ in range(3)] == ["b"] * 3, "of two with it, the least loaded"
    a.open_requests, b.open_requests = 9, 0
    assert taken(of, prompt=SAME) is b


@pytest.mark.usefixtures("clock")
def test_what_all_servers_have_cached_decides_nothing() -> None:
    of = made(max_lead=3)
    for server in each(of).values():
        server.last = [*SAME, 1]
    assert [taken(of, prompt=[*SAME, n]).url for n in range(4)] == ["a", "b", "a", "b"]


@pytest.mark.usefixtures("clock")
def test_a_cache_is_no_reason_to_ask_a_resting_server_or_one_that_has_just_failed() -> None:
    of = made(max_lead=3)
    a, b = each(of).values()
    a.last = SAME
    assert taken(of, avoid=a, prompt=SAME) is b
    b.last = ()
    of.failed(a, unreachable=True)
    assert taken(of, prompt=SAME) is b


@pytest.mark.parametrize(("one", "other", "n"), [([], [1], 0), ([1, 2], [1, 2, 3], 2), ([1, 2, 3], [1, 4, 3], 1)])
def test_common_beginnings(one: list[int], other: list[int], n: int) -> None:
    assert n_common(one, other) == n_common(other, one) == n


@pytest.mark.usefixtures("clock")
def test_the_server_to_avoid_is_chosen_last() -> None:
    of = made()
    a, b = each(of).values()
    b.open_requests = 7
    assert taken(of, avoid=a) is b
    alone = made("a")
    assert taken(alone, avoid=each(alone)["a"]).url == "a"


def test_a_server_rests_after_consecutive_faults_and_is_probed_by_one_request(clock: Clock) -> None:
    of = made()
    a, b = each(of).values()
    b.open_requests = 7
    assert dead(of, a) == [True] * (FAULTS_IN_A_ROW - 1) + [False]
    clock.now += REST / 2
    assert taken(of) is b
    clock.now += REST / 2
    assert [taken(of), taken(of)] == [a, b]
    clock.now += REST
    assert taken(of) is a
    of.answered(a)
    assert [taken(of), taken(of)] == [a, a]
    assert dead(of, a)[-2:] == [True, False], "faults before an answer are forgotten"
    assert clock.waits == []


def test_a_server_that_cannot_be_reached_rests_at_once(clock: Clock) -> None:
    of = made("a")
    (a,) = each(of).values()
    assert not of.failed(a, unreachable=True)
    assert not of.failed(a)
    assert a.rests_until == clock.now + REST


def test_a_server_rests_as_long_as_it_asks_for_if_not_shorter(clock: Clock) -> None:
    of = made("a")
    (a,) = each(of).values()
    for asked, rests in ((None, REST), (0.1, REST), (30.0, 30.0)):
        assert not of.failed(a, unreachable=True, rest=asked)
        assert a.rests_until == clock.now + rests


def test_if_all_servers_rest_the_first_available_is_awaited(clock: Clock) -> None:
    of = made()
    a, b = each(of).values()
    of.failed(a, unreachable=True, rest=5.0)
    of.failed(b, unreachable=True, rest=3.0)
    assert taken(of) is b
    assert clock.waits == pytest.approx([3.05])


def test_silence_means_no_answer_within_the_patience(clock: Clock) -> None:
    of = made()
    a, b = each(of).values()
    clock.now += PATIENCE
    assert not of.is_silent
    clock.now += 0.1
    assert of.is_silent
    assert taken(of) is a, "who has not failed is asked for the first time"
    for server in (a, b):
        of.failed(server, unreachable=True)
    for _ in range(2):  # at rest, and awake
        with pytest.raises(SilenceError, match="no server has answered for 10 s"):
            taken(of)
        clock.now += REST
    assert clock.waits == []


@pytest.mark.parametrize(
    "sign",
    [
        lambda of, server: of.answered(server),
        lambda of, server: of.failed_alive(server, absurd=True),
        lambda of, server: of.failed_alive(server, absurd=False),
        lambda of, server: of.misfit(server, "HTTP 401"),
    ],
)
def test_every_sign_of_life_ends_the_silence(clock: Clock, sign: Callable[[Servers, Server], None]) -> None:
    of = made()
    clock.now += 2 * PATIENCE
    sign(of, each(of)["a"])
    assert not of.is_silent


@pytest.mark.usefixtures("clock")
def test_faults_do_not_end_the_silence(clock: Clock) -> None:
    of = made()
    clock.now += 2 * PATIENCE
    of.failed(each(of)["a"])
    assert of.is_silent


def test_the_only_server_is_used_at_once_after_malformed_replies(clock: Clock) -> None:
    of = made()
    a, b = each(of).values()
    for _ in range(FAULTS_IN_A_ROW):
        of.failed_alive(a, absurd=True)
    b.open_requests = 7
    assert taken(of) is b
    of.failed(b, unreachable=True, rest=5.0)
    assert [taken(of), taken(of)] == [a, a]
    assert clock.waits == []
    of.answered(a)
    assert not a.is_absurd
    for fault in (of.failed, lambda server: of.failed_alive(server, absurd=False)):
        a.is_absurd = True
        fault(a)
        assert not a.is_absurd


@pytest.mark.usefixtures("clock")
def test_a_misfit_server_is_not_used_again() -> None:
    of = made()
    a, b = each(of).values()
    of.misfit(a, "HTTP 401")
    assert [taken(of), taken(of)] == [b, b]
    of.misfit(b, "HTTP 404")
    with pytest.raises(MisfitError, match=r"^HTTP 401$"):
        taken(of)


def waited(of: Servers, clock: Clock, times_hung: int | None) -> float:
    """Return the seconds until a request without an answer is given up."""
    began, ended = clock.now, []
    clock.waits.clear()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def ask() -> None:
        with pytest.raises(TimeoutError) as caught:
            await of.unless_hung(never(), times_hung)
        for _ in range(3):
            await asyncio.sleep(0)
        assert str(caught.value) == f"no answer within {clock.now - began:.0f} s"

    asyncio.run(ask())
    assert ended == ["cancelled"]
    return clock.now - began


def answer(of: Servers, n: int, seconds: float | None) -> None:
    for _ in range(n):
        of.answered(each(of)["a"], seconds)


def test_a_request_hangs_if_it_takes_far_longer_than_earlier_ones(clock: Clock) -> None:
    of = made(hung=2.0)
    assert waited(of, clock, 0) == TIMEOUT
    answer(of, KNOWN - 1, 1.0)
    answer(of, 5, None)
    assert waited(of, clock, 0) == TIMEOUT, "too few answers came to judge"
    answer(of, 1, 0.5)
    assert [waited(of, clock, n) for n in (0, 1, 2, 9, None)] == [3.0, 6.0, 12.0, TIMEOUT, TIMEOUT]
    quick = made(hung=2.5)
    answer(quick, KNOWN, 0.1)
    assert waited(quick, clock, 0) == 2.5
    assert clock.waits == [1.0, 1.0, 0.5]


def test_the_limit_of_an_open_request_follows_the_answers_that_come(clock: Clock) -> None:
    of = made(hung=2.0, look=2.0)
    answer(of, KNOWN - 1, 1.0)
    clock.at_a_look = lambda: answer(of, 1, 1.0)
    assert waited(of, clock, 0) == pytest.approx(2.0 + 1.0), "of 3 seconds it has waited 2"


def test_unless_hung_returns_the_result(clock: Clock) -> None:
    of, begins = made(), clock.now

    async def call() -> str:
        while clock.now < begins + 5:
            await asyncio.sleep(0)
        return "so"

    async def ask() -> str:
        return await of.unless_hung(call(), 0)

    assert asyncio.run(ask()) == "so"
    assert clock.now == begins + 5
