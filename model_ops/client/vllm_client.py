"""The client of vLLM servers: an asynchronous window of requests, retries, and answers as facts."""

import asyncio
import json
import math
import os
import random
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from model_ops.client.engine import Answer
from model_ops.client.servers import Servers, SilenceError
from model_ops.text.chat import ChatFormat

KEY = "HUMPBACK_API_KEY"  # the environment's variable
# Else a server takes them from the model's generation_config.json, and no request says so.
NO_DEFAULTS = {"top_k": 0, "min_p": 0, "repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0}
ROW_FAULTS = {400, 413, 422}  # the request's own; any other status is the server's trouble, and passes
# What reading a senseless reply raises.
ABSURD = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OverflowError)


def headers(key: str | None = None) -> dict[str, str]:
    """What shows a key to a server: the environment's, if there is one, unless given; it is never logged or stored."""
    key = key or os.environ.get(KEY)
    return {"Authorization": f"Bearer {key}"} if key else {}


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
    patience: float
    attempts: int
    adapter: str | None = None
    """Its folder, which a server that has been started anew is asked to load again."""
    key: str | None = field(default=None, repr=False)

    def answers(self, requests: Iterator[Mapping[str, Any]]) -> Iterator[Answer]:
        """One answer for every request, as they come back; at most `window` requests are open.

        As many again are made ready, or wait to be sent once more, so that no place stays empty.
        """
        loop = asyncio.new_event_loop()
        session: aiohttp.ClientSession | None = None
        try:
            session = loop.run_until_complete(_session(self.window, headers(self.key)))
            servers = Servers(self.endpoints, self.timeout, self.patience)
            places = asyncio.Semaphore(self.window)
            tasks: set[asyncio.Task[Answer]] = set()
            exhausted = False
            while True:
                while not exhausted and len(tasks) < 2 * self.window:
                    request = next(requests, None)
                    if request is None:
                        exhausted = True
                    else:
                        tasks.add(loop.create_task(self._ask(session, servers, places, request)))
                if not tasks:
                    return
                done, tasks = loop.run_until_complete(asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))
                for task in done:
                    yield task.result()
        finally:
            if session is not None:
                loop.run_until_complete(session.close())
            loop.close()

    async def _ask(
        self, session: aiohttp.ClientSession, servers: Servers, places: asyncio.Semaphore, request: Mapping[str, Any]
    ) -> Answer:
        request_id = request["request_id"]
        try:
            body, boundary = self.body(request)
        except ValueError as error:
            return Answer(request_id, "refused", error=str(error))
        attempts = hung = 0
        fault, server, is_refused = "nothing was sent", None, False
        while attempts < self.attempts:
            async with places:
                try:
                    server = await servers.take(avoid=server)
                except SilenceError as silence:
                    return Answer(request_id, "failed", error=f"{silence}; the last: {fault}")
                wait, unreachable = None, False
                try:
                    last = attempts + 1 == self.attempts
                    reply = await servers.unless_hung(_post(session, server.url, body), None if last else hung)
                    if reply.status == 200:
                        answer = self._read(request, json.loads(reply.content), body, boundary, server.url)
                        servers.answered(server, reply.seconds)
                        return answer
                    fault = f"HTTP {reply.status} from {server.url}: {reply.content[:300].decode(errors='replace')}"
                    if reply.status in ROW_FAULTS:
                        if is_refused or last or len(self.endpoints) == 1:
                            servers.answered(server)
                            return Answer(request_id, "refused", error=fault, endpoint=server.url)
                        is_refused, attempts = True, attempts + 1
                        continue  # another server may have a longer context, or fewer troubles
                    wait = reply.retry_after
                    if reply.status == 404 and self.adapter:
                        await servers.unless_hung(_load_adapter(session, server.url, self.model, self.adapter), None)
                except TimeoutError as error:
                    hung += 1
                    fault = f"{server.url}: {error}"
                except (aiohttp.ClientError, *ABSURD) as error:
                    unreachable = isinstance(error, aiohttp.ClientConnectorError)
                    fault = f"{type(error).__name__} from {server.url}: {error}"
                finally:
                    server.open_requests -= 1
            attempts += servers.failed(server, unreachable=unreachable, rest=wait)
            await asyncio.sleep(wait if wait is not None else random.uniform(0.2, 1.0) * 2 ** max(attempts - 1, 0))
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
            "stop_token_ids": [self.chat.end_id],  # which need not be the end that the base model knows
            **NO_DEFAULTS,
        }
        if span is not None and "labels" not in sampling:
            body["prompt_logprobs"] = 0
        if "labels" in sampling:
            ids = [self.chat.label_id(request["prefill"], label) for label in sampling["labels"]]
            body |= {"logprobs": len(ids), "logprob_token_ids": ids, "return_tokens_as_token_ids": True}
        if "regex" in sampling:
            body["structured_outputs"] = {"regex": sampling["regex"]}
        return body, boundary

    def _read(
        self, request: Mapping[str, Any], reply: dict[str, Any], body: dict[str, Any], boundary: int, url: str
    ) -> Answer:
        """The answer in a reply; raises one of `ABSURD` for a reply that makes no sense."""
        sampling, choice, usage = json.loads(request["sampling"]), reply["choices"][0], reply["usage"]
        text, finish = choice["text"], choice["finish_reason"]
        if finish not in ("stop", "length"):
            raise ValueError(f"the answer was ended by {finish!r}")  # a server that is being stopped or paused
        facts: dict[str, Any] = {
            "text": text,
            "finish_reason": finish,
            "n_prompt_tokens": int(usage["prompt_tokens"]),
            "n_completion_tokens": int(usage["completion_tokens"]),
            "endpoint": url,
        }
        status = "ok"
        if "labels" in sampling:
            given = choice["logprobs"]["top_logprobs"][0]
            ids = {label: self.chat.label_id(request["prefill"], label) for label in sampling["labels"]}
            facts["label_logprobs"] = {label: float(given[f"token_id:{i}"]) for label, i in ids.items()}
        elif request["span"] is not None:
            given = choice["prompt_logprobs"]
            if len(given) != len(body["prompt"]):
                raise ValueError(f"log-probabilities of {len(given)} tokens, not {len(body['prompt'])}")
            tokens = given[boundary:]
            facts |= {"text": "", "span_tokens": len(tokens)}
            facts["span_logprob"] = math.fsum(next(iter(t.values()))["logprob"] for t in tokens)
        elif not text.strip():
            status = "empty"
        elif finish == "length":
            status = "cut"
        elif "regex" in sampling and not re.fullmatch(sampling["regex"], text):
            raise ValueError(f"the answer breaks its constraint: {text[:80]!r}")
        return Answer(request["request_id"], status, **facts)


@dataclass(frozen=True)
class _Reply:
    status: int
    content: bytes
    retry_after: float | None
    seconds: float


async def _post(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> _Reply:
    began = time.monotonic()
    async with session.post(f"{url}/completions", json=body) as response:
        content = await response.read()
        wait = _seconds(response.headers.get("Retry-After"))
        return _Reply(response.status, content, wait, time.monotonic() - began)


async def _load_adapter(session: aiohttp.ClientSession, url: str, name: str, folder: str) -> None:
    async with session.post(f"{url}/load_lora_adapter", json={"lora_name": name, "lora_path": folder}) as response:
        await response.read()  # whether it is there now, the next request will show


async def _session(window: int, shown: dict[str, str]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=window), timeout=aiohttp.ClientTimeout(total=None), headers=shown
    )


def _seconds(retry_after: str | None) -> float | None:
    try:
        return min(float(retry_after), 60.0) if retry_after else None
    except ValueError:
        return None  # an HTTP date: our own back-off serves as well
