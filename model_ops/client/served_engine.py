"""The client of model servers: an asynchronous window of requests, and retries."""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp

from model_ops.client.apis import AbsurdReplyError, Api, Call
from model_ops.client.endpoint import headers, how_to_mend
from model_ops.client.engine import MISFIT, Answer
from model_ops.client.replies import Meaning, meaning, seconds_to_wait, shown, without_key
from model_ops.client.servers import MisfitError, Server, Servers, SilenceError, Timings

CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class _Partition:
    """The state that the requests of one partition share."""

    session: aiohttp.ClientSession
    servers: Servers
    places: asyncio.Semaphore


@dataclass
class _Tries:
    """The attempts at one request so far: those that count towards `attempts`, and the last fault."""

    n: int = 0
    hung: int = 0
    is_refused: bool = False
    has_loaded: bool = False
    """Whether a server was asked to load the adapter for this request."""
    put_off_at: float | None = None
    """Time of the first reply that the server is busy, by the monotonic clock in seconds."""
    fault: str = "nothing was sent"
    pause: float = 0.0


@dataclass(frozen=True)
class _Reply:
    status: int
    content: bytes
    retry_after: float | None
    seconds: float


@dataclass(frozen=True)
class ServedEngine:
    """One model, served under one name by one or more servers that speak one API."""

    endpoints: tuple[str, ...]
    api: Api
    window: int
    timeout: float
    patience: float
    attempts: int
    adapter: str | None = None
    """Folder of the adapter, which a restarted server is asked to load again."""
    key: str | None = field(default=None, repr=False)
    timings: Timings = field(default_factory=Timings)
    max_reply_bytes: int = 64 << 20
    """Maximum size of a reply; the log-probabilities of a prompt of 100,000 tokens take some 10 MB."""

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        """Yield one answer per request, in order of arrival; at most `window` requests are open.

        Up to `window` more are prepared or wait for a retry, so that the window stays full.
        """
        loop = asyncio.new_event_loop()
        session: aiohttp.ClientSession | None = None
        try:
            session = loop.run_until_complete(_session(self.window, headers(self.key)))
            # A quarter of a server's share: even the least loaded one has requests waiting beside the computed ones.
            max_lead = self.window // (4 * len(self.endpoints)) if len(self.endpoints) > 1 else 0
            servers = Servers(self.endpoints, self.timeout, self.patience, self.timings, max_lead)
            partition = _Partition(session, servers, asyncio.Semaphore(self.window))
            tasks: set[asyncio.Task[Answer]] = set()
            exhausted = False
            while True:
                while not exhausted and len(tasks) < 2 * self.window:
                    request = next(requests, None)
                    if request is None:
                        exhausted = True
                    else:
                        tasks.add(loop.create_task(self._ask(partition, request)))
                if not tasks:
                    return
                done, tasks = loop.run_until_complete(asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))
                for answer in (task.result() for task in done):
                    exhausted = exhausted or (answer.error or "").startswith(MISFIT)
                    yield answer
        finally:
            if session is not None:
                loop.run_until_complete(session.close())
            loop.close()

    async def _ask(self, partition: _Partition, row: Mapping[str, Any]) -> Answer:
        """Send one request until it is answered or its attempts or patience are used up, and return the answer."""
        try:
            call = self.api.call(row)
        except ValueError as error:
            return Answer(row["request_id"], "refused", error=str(error))
        tries, server, patience = _Tries(), None, partition.servers.patience
        while tries.n < self.attempts:
            is_over = tries.put_off_at is not None and time.monotonic() - tries.put_off_at > patience
            if is_over and not partition.servers.is_silent:
                return self._failed(call, f"told to wait for {patience:g} s; last error: {tries.fault}")
            async with partition.places:
                try:
                    server = await partition.servers.take(call.tokens.prompt, avoid=server)
                except SilenceError as silence:
                    return self._failed(call, f"{silence}; last error: {tries.fault}")
                except MisfitError as misfit:
                    return self._failed(call, f"{MISFIT}{misfit}")
                try:
                    answer = await self._attempt(partition, server, call, tries)
                finally:
                    server.open_requests -= 1
            if answer is not None:
                return answer
            if tries.n < self.attempts:
                await asyncio.sleep(tries.pause)
        return self._failed(call, f"{self.attempts} attempts failed; last error: {tries.fault}")

    def _failed(self, call: Call, why: str) -> Answer:
        return Answer(call.request.request_id, "failed", error=without_key(why, self.key))

    async def _attempt(self, partition: _Partition, server: Server, call: Call, tries: _Tries) -> Answer | None:
        """Send a request once and return the answer; None if another attempt may follow after `tries.pause` seconds."""
        is_last, wait = tries.n + 1 == self.attempts, None
        try:
            posted = self._post(partition.session, server.url, call.body)
            reply = await partition.servers.unless_hung(posted, None if is_last else tries.hung)
            if meaning(reply.status) is Meaning.ANSWER:
                answer = self.api.read(call, reply.content, server.url)
                partition.servers.answered(server, reply.seconds)
                return answer
            wait = reply.retry_after
            excerpt = without_key(shown(reply.content), self.key)
            tries.fault = f"HTTP {reply.status} from {server.url}: {excerpt}"
            if meaning(reply.status) is Meaning.REFUSED:
                return self._refused(partition, server, call, tries)
            await self._note(partition, server, tries, reply)
        except TimeoutError as error:
            tries.hung += 1
            tries.n += partition.servers.failed(server)
            tries.fault = f"{server.url}: {error}"
        except AbsurdReplyError as error:
            tries.n += 1
            partition.servers.failed_alive(server, absurd=True)
            tries.fault = f"a malformed reply from {server.url}: {error}"
        except (aiohttp.ClientError, ValueError) as error:
            tries.fault = f"{type(error).__name__} from {server.url}: {error}"
            self._note_broken(partition, server, tries, error)
        backoff = random.uniform(0.2, 1.0) * self.timings.backoff * 2 ** max(tries.n - 1, 0)
        tries.pause = wait if wait is not None else backoff
        return None

    def _refused(self, partition: _Partition, server: Server, call: Call, tries: _Tries) -> Answer | None:
        """Return the refusal, or None to try once more: another server may have a longer context, or fewer troubles."""
        partition.servers.answered(server)
        tries.n, tries.pause = tries.n + 1, 0.0
        if tries.is_refused or tries.n == self.attempts or len(self.endpoints) == 1:
            return Answer(call.request.request_id, "refused", error=tries.fault, endpoint=server.url)
        tries.is_refused = True
        return None

    async def _note(self, partition: _Partition, server: Server, tries: _Tries, reply: _Reply) -> None:
        """Note an HTTP status that is neither an answer nor the request's fault."""
        match meaning(reply.status):
            case Meaning.BUSY:
                # A busy server costs no attempt; `patience` limits the waiting instead.
                partition.servers.failed(server, rest=reply.retry_after)
                tries.put_off_at = tries.put_off_at or time.monotonic()
            case Meaning.MISFIT if reply.status == HTTPStatus.NOT_FOUND and self.adapter and not tries.has_loaded:
                tries.has_loaded = True
                await partition.servers.unless_hung(
                    self._load_adapter(partition.session, server.url, self.adapter), None
                )
            case Meaning.MISFIT:
                partition.servers.misfit(server, f"{tries.fault}; {how_to_mend(reply.status)}")
            case _:
                tries.n += 1
                partition.servers.failed_alive(server, absurd=False)

    def _note_broken(self, partition: _Partition, server: Server, tries: _Tries, error: Exception) -> None:
        """Note a connection that could not be made, was lost, or broke off within a reply."""
        if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
            tries.n += 1
            partition.servers.failed_alive(server, absurd=False)
        else:
            tries.n += partition.servers.failed(server, unreachable=isinstance(error, aiohttp.ClientConnectorError))

    async def _post(self, session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> _Reply:
        began = time.monotonic()
        async with session.post(f"{url}{self.api.route}", json=body, allow_redirects=False) as response:
            content = await _content(response, self.max_reply_bytes)
            wait = seconds_to_wait(response.headers.get("Retry-After"))
            return _Reply(response.status, content, wait, time.monotonic() - began)

    async def _load_adapter(self, session: aiohttp.ClientSession, url: str, folder: str) -> None:
        body = {"lora_name": self.api.model, "lora_path": folder}
        async with session.post(f"{url}/load_lora_adapter", json=body, allow_redirects=False) as response:
            # The next request shows whether the adapter is loaded now.
            await _content(response, self.max_reply_bytes)


async def _content(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Read the body of a reply, decompressed.

    Raises:
        AbsurdReplyError: it has more than `max_bytes`; the rest is not read, and the connection is closed.
    """
    content = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        content += chunk
        if len(content) > max_bytes:
            raise AbsurdReplyError(f"the reply has more than {max_bytes:,} bytes")
    return bytes(content)


async def _session(window: int, authorization: dict[str, str]) -> aiohttp.ClientSession:
    """Open a session that ignores the environment's proxies and .netrc, as `Endpoint` does."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=window),
        timeout=aiohttp.ClientTimeout(total=None),
        headers=authorization,
        trust_env=False,
    )
