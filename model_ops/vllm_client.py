"""The client of vLLM servers: an asynchronous window of requests, retries, and answers as facts."""

import asyncio
import json
import math
import os
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from model_ops.chat import ChatFormat
from model_ops.engine import Answer

REST_SECONDS = 15.0
RETRIED = {408, 425, 429}  # and every 5xx: the server's trouble, not the request's


def headers() -> dict[str, str]:
    """The API key of the environment, if there is one; it is never logged or stored."""
    key = os.environ.get("HUMPBACK_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


@dataclass
class _Server:
    url: str
    open_requests: int = 0
    rests_until: float = 0.0


@dataclass(frozen=True)
class VllmEngine:
    """One model, served under one name by one or more servers that speak vLLM's completions API.

    Prompts are sent as token ids, made here with the model's own chat format, so that serving and
    training see the same tokens and text from the web can't form a special token.
    """

    endpoints: tuple[str, ...]
    model: str
    chat: ChatFormat
    max_model_len: int
    window: int
    timeout: float
    attempts: int

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        """One answer for every request, as they come back; at most `window` requests are open."""
        loop = asyncio.new_event_loop()
        session: aiohttp.ClientSession | None = None
        try:
            session = loop.run_until_complete(_session(self.window, self.timeout))
            pool = _Pool([_Server(url) for url in self.endpoints])
            open_tasks: set[asyncio.Task[Answer]] = set()
            exhausted = False
            while True:
                while not exhausted and len(open_tasks) < self.window:
                    request = next(requests, None)
                    if request is None:
                        exhausted = True
                    else:
                        open_tasks.add(loop.create_task(self._ask(session, pool, request)))
                if not open_tasks:
                    return
                done, open_tasks = loop.run_until_complete(
                    asyncio.wait(open_tasks, return_when=asyncio.FIRST_COMPLETED)
                )
                for task in done:
                    yield task.result()
        finally:
            if session is not None:
                loop.run_until_complete(session.close())
            loop.close()

    async def _ask(self, session: aiohttp.ClientSession, pool: "_Pool", request: Mapping[str, Any]) -> Answer:
        request_id = request["request_id"]
        try:
            body, boundary = self.body(request)
        except ValueError as error:
            return Answer(request_id, "refused", error=str(error))
        fault = "no attempt made"
        for attempt in range(self.attempts):
            server = pool.take()
            try:
                async with session.post(f"{server.url}/completions", json=body) as response:
                    if response.status == 200:
                        return self._read(request, await response.json(), boundary, server.url)
                    fault = f"HTTP {response.status} from {server.url}: {(await response.text())[:300]}"
                    if response.status < 500 and response.status not in RETRIED:
                        return Answer(request_id, "refused", error=fault, endpoint=server.url)
                    wait = _seconds(response.headers.get("Retry-After"))
            except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError, KeyError, IndexError, TypeError) as error:
                fault, wait = f"{type(error).__name__} from {server.url}: {error}", None
                server.rests_until = time.monotonic() + REST_SECONDS if len(pool.servers) > 1 else 0.0
            finally:
                pool.give(server)
            await asyncio.sleep(wait if wait is not None else random.uniform(0.2, 1.0) * 2**attempt)
        return Answer(request_id, "failed", error=f"{self.attempts} attempts; the last: {fault}")

    def body(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """The HTTP body of a request, and the number of tokens before its span.

        Raises:
            ValueError: the prompt leaves no room for an answer, or a label is not one token.
        """
        sampling = json.loads(request["sampling"])
        prompt = self.chat.prompt_ids(request["system"], request["prompt"], request["prefill"])
        boundary, span = len(prompt), request["span"]
        if span is not None:
            prompt = prompt + self.chat.text_ids(span)
        room = self.max_model_len - len(prompt)
        if room < 1:
            raise ValueError(f"too long: {len(prompt):,} prompt tokens, the model takes {self.max_model_len - 1:,}")
        # No seed: it would not repeat an answer anyway, since batching changes the numbers, and on the CPU
        # vLLM 0.32 dies of a seeded request whose prompt is read in chunks. The ledger keeps answers.
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": prompt,
            "max_tokens": min(sampling.get("max_tokens", 1), room),
            "temperature": sampling.get("temperature", 0),
            "top_p": sampling.get("top_p", 1.0),
        }
        if span is not None:
            body["prompt_logprobs"] = 0
        if "labels" in sampling:
            ids = [self.chat.label_id(request["prefill"], label) for label in sampling["labels"]]
            body |= {"logprobs": len(ids), "logprob_token_ids": ids, "return_tokens_as_token_ids": True}
        if "regex" in sampling:
            body["structured_outputs"] = {"regex": sampling["regex"]}
        return body, boundary

    def _read(self, request: Mapping[str, Any], reply: dict[str, Any], boundary: int, url: str) -> Answer:
        sampling, choice, usage = json.loads(request["sampling"]), reply["choices"][0], reply["usage"]
        facts: dict[str, Any] = {
            "text": choice["text"],
            "finish_reason": choice["finish_reason"],
            "n_prompt_tokens": usage["prompt_tokens"],
            "n_completion_tokens": usage["completion_tokens"],
            "endpoint": url,
        }
        status = "ok"
        if request["span"] is not None:
            tokens = choice["prompt_logprobs"][boundary:]
            facts |= {"text": "", "span_tokens": len(tokens)}
            facts["span_logprob"] = math.fsum(next(iter(t.values()))["logprob"] for t in tokens)
        elif "labels" in sampling:
            given = choice["logprobs"]["top_logprobs"][0]
            ids = {f"token_id:{self.chat.label_id(request['prefill'], label)}": label for label in sampling["labels"]}
            facts["label_logprobs"] = {label: given[key] for key, label in ids.items() if key in given}
        elif not choice["text"].strip():
            status = "empty"
        elif choice["finish_reason"] == "length":
            status = "cut"
        return Answer(request["request_id"], status, **facts)


@dataclass
class _Pool:
    """The servers, the least loaded one first; one that just failed rests, unless all do."""

    servers: list[_Server] = field(default_factory=list)

    def take(self) -> _Server:
        now = time.monotonic()
        awake = [s for s in self.servers if s.rests_until <= now] or self.servers
        server = min(awake, key=lambda s: s.open_requests)
        server.open_requests += 1
        return server

    def give(self, server: _Server) -> None:
        server.open_requests -= 1


async def _session(window: int, timeout: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=window), timeout=aiohttp.ClientTimeout(total=timeout), headers=headers()
    )


def _seconds(retry_after: str | None) -> float | None:
    try:
        return min(float(retry_after), 60.0) if retry_after else None
    except ValueError:
        return None  # an HTTP date: our own back-off serves as well
