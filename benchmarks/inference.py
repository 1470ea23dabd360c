"""Requests through Spark and our client beside a bare asynchronous client and vLLM's offline batch, on the same cores.

python -m benchmarks.inference MODEL_FOLDER
python -m benchmarks.inference MODEL_FOLDER --fixed-speed 1.0 --requests 2000

The second asks no model but a server that takes a second for each request, `--in-flight` at a time: as if it had
a machine of its own, so that Spark takes no core from it.

Every figure is of the time in which the server has requests, so that nobody's start-up counts. Each run has
prompts of its own, equal in length and in their common beginning, so that none finds another's in the prefix cache.
Without Spark's part (`--partitions` with no number after it) no JVM is needed.
"""

import argparse
import asyncio
import json
import logging
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from benchmarks.fixed_speed import fixed_speed
from benchmarks.server import prompts
from model_ops.client.endpoint import Endpoint
from model_ops.client.vllm_client import VllmEngine
from model_ops.devices import has_gpu, served_dtype
from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import VllmServer, cpu_environment
from model_ops.text.chat import ChatFormat

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PORT, LONGEST = 8793, 1024
KINDS: dict[str, tuple[int, str, dict[str, Any]]] = {  # words of a prompt, the answer's beginning, sampling
    "generate-candidates": (220, "", {"temperature": 0.7, "top_p": 0.9, "max_tokens": 12}),
    "one-token scoring": (300, "Score: ", {"temperature": 0, "max_tokens": 1, "labels": list("12345")}),
}
BUSY = re.compile(r"^vllm:num_requests_(?:running|waiting)\{[^}]*\} ([0-9.e+]+)$", re.MULTILINE)


def requests(kind: str, n: int, run: str) -> list[dict[str, Any]]:
    """`n` requests of a kind; no other run's are the same beyond their first 100 words."""
    words, prefill, sampling = KINDS[kind]
    own = random.Random(run)
    texts = [" ".join([*t.split()[:100], *own.sample(t.split()[100:], words - 100)]) for t in prompts(n, words, 100)]
    fixed = {
        "stage": kind,
        "model_id": "base",
        "prompt_id": "p",
        "sampling": json.dumps(sampling),
        "sample": 0,
        "system": "",
        "prefill": prefill,
        "span": None,
    }
    return [fixed | {"request_id": f"{run}/{i}", "subject_id": str(i), "prompt": text} for i, text in enumerate(texts)]


@contextmanager
def vllm(folder: str, in_flight: int) -> Iterator[str]:
    """The endpoint of a server as a run starts it."""
    log = Path(tempfile.gettempdir()) / "benchmark-vllm.log"
    settings = ServerSettings(
        port=PORT,
        dtype=served_dtype("auto"),
        max_model_len=LONGEST,
        max_num_seqs=in_flight,
        eager=not has_gpu(),
    )
    server = VllmServer(folder, "base", settings, log)
    server.start()
    try:
        yield server.endpoint
    finally:
        server.stop()


@contextmanager
def busy_seconds(endpoint: str) -> Iterator[list[float]]:
    """From the server's first request to its last answer, put into the list at the end; to about 0.1 s."""
    seen: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            if sum(float(n) for n in BUSY.findall(Endpoint(endpoint).metrics(timeout=10))) > 0:
                seen.append(time.perf_counter())

    found: list[float] = []
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
        found.append(seen[-1] - seen[0])


async def bare(engine: VllmEngine, asked: Sequence[Mapping[str, Any]]) -> None:
    """The same requests from the least client that keeps as many open."""
    bodies = [engine.call(request).body for request in asked]
    places, pool = asyncio.Semaphore(engine.window), aiohttp.TCPConnector(limit=engine.window)
    async with aiohttp.ClientSession(connector=pool, raise_for_status=True) as session:

        async def ask(body: dict[str, Any]) -> None:
            async with places, session.post(f"{engine.endpoints[0]}/completions", json=body) as reply:
                await reply.json()

        await asyncio.gather(*(ask(body) for body in bodies))


def alone(engine: VllmEngine, asked: Sequence[Mapping[str, Any]]) -> None:
    """The same requests from our client, in one process, as in one task."""
    faults = [answer.error for answer in engine.answers(iter(asked)) if answer.error]
    assert not faults, faults[0]


def through_spark(
    spark: "SparkSession", engine: VllmEngine, asked: list[dict[str, Any]], partitions: int, in_flight: int
) -> None:
    """The same requests in waves, to the ledger of a new lake."""
    from jobs.inference.waves import Stage, send
    from jobs.lake.materialised import materialised
    from jobs.lake.runs import Run
    from jobs.lake.writing import RunLake
    from jobs.recipe.config import Inference
    from schemas.request import REQUEST
    from schemas.silver import CANDIDATES

    usual = Inference().rows_per_wave
    few = -(-2 * len(asked) // 5)  # three waves at least
    settings = Inference(rows_per_wave=min(usual, few), partitions=partitions, in_flight=in_flight)
    with tempfile.TemporaryDirectory() as root:
        lake = RunLake(spark, root, Run("benchmark", "benchmark", "0" * 16, CANDIDATES))
        staged = materialised(spark.createDataFrame(asked, REQUEST))  # type: ignore[type-var]
        done = send(lake, Stage(staged, len(asked), len(asked)), engine, settings, partitions)
    assert done.sent == len(asked)
    assert not done.failed, done.fault


def offline(folder: str, in_flight: int) -> None:
    """In a process of its own: the prompts on stdin, as token ids, through vLLM's offline batch; prints seconds."""
    from vllm import LLM, SamplingParams

    cpu = {} if has_gpu() else {"block_size": 32}
    model = LLM(
        folder,
        max_model_len=LONGEST,
        max_num_seqs=in_flight,
        enforce_eager=not has_gpu(),
        dtype=served_dtype("auto"),
        disable_log_stats=True,
        **cpu,
    )
    for body in json.load(sys.stdin):
        named = ("max_tokens", "temperature", "top_p", "logprobs", "logprob_token_ids", "stop_token_ids")
        sampling = {k: v for k, v in body[0].items() if k in named}
        began = time.perf_counter()
        model.generate([{"prompt_token_ids": b["prompt"]} for b in body], SamplingParams(**sampling), use_tqdm=False)
        sys.stdout.write(f"seconds {time.perf_counter() - began}\n")


def compare(endpoint: str, kinds: Sequence[str], options: argparse.Namespace, chat: ChatFormat) -> float:
    """Print requests/s of each way, and its share of the bare client's; the least share that Spark has."""
    least, window = 1.0, 2 * options.in_flight  # two waves are open
    if options.partitions:
        from jobs.lake.session import spark_session

        # A core for each task of two waves of the most partitions: as in a cluster, they wait far more than compute.
        spark = spark_session(**{"spark.master": f"local[{2 * max(options.partitions)}]"})
    try:
        for kind in kinds:
            engine = engine_of(endpoint, chat, window)
            asyncio.run(bare(engine, requests(kind, 4, "warm")))
            with busy_seconds(endpoint) as clean:
                asyncio.run(bare(engine, requests(kind, options.requests, f"{kind}/bare")))
            report(kind, "bare client", options.requests, clean[0], clean[0])
            with busy_seconds(endpoint) as seconds:
                alone(engine, requests(kind, options.requests, f"{kind}/alone"))
            report(kind, "our client, one process", options.requests, seconds[0], clean[0])
            for n in options.partitions:
                engine = engine_of(endpoint, chat, -(-options.in_flight // n))
                through_spark(spark, engine, requests(kind, 2 * n, f"{kind}/warm/{n}"), n, options.in_flight)
                with busy_seconds(endpoint) as seconds:
                    asked = requests(kind, options.requests, f"{kind}/spark/{n}")
                    through_spark(spark, engine, asked, n, options.in_flight)
                report(kind, f"Spark, {n} partitions", options.requests, seconds[0], clean[0])
                least = min(least, clean[0] / seconds[0])
    finally:
        if options.partitions:
            spark.stop()
    return least


def compare_offline(options: argparse.Namespace, chat: ChatFormat) -> None:
    """Print requests/s of vLLM's offline batch, in a process of its own."""
    engine = engine_of("", chat, 1)
    bodies = [
        [engine.call(r).body for r in requests(kind, n, f"{kind}/{run}")]
        for kind in KINDS
        for run, n in (("warm", 4), ("offline", options.requests))
    ]
    environment = os.environ | ({} if has_gpu() else cpu_environment(2, eager=True)) | {"HF_HUB_OFFLINE": "1"}
    in_flight = str(options.in_flight)
    line = [sys.executable, "-m", "benchmarks.inference", options.model, "--offline", "--in-flight", in_flight]
    ran = subprocess.run(line, input=json.dumps(bodies), text=True, stdout=subprocess.PIPE, env=environment, check=True)
    for kind, found in zip(KINDS, re.findall(r"^seconds (.+)$", ran.stdout, re.MULTILINE)[1::2], strict=True):
        report(kind, "vLLM's offline batch", options.requests, float(found), 0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: exit code 1 where Spark has under 95 % of the bare client's speed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    parser.add_argument("model", help="folder of a model")
    parser.add_argument("--requests", type=int, default=64, help="of each kind, for each way")
    parser.add_argument("--in-flight", type=int, default=16, help="at once in the server; twice as many are open")
    parser.add_argument("--partitions", type=int, nargs="*", default=[1, 2, 8])
    parser.add_argument("--fixed-speed", type=float, metavar="SECONDS", help="no model: so long for each request")
    parser.add_argument("--offline", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.offline:
        offline(options.model, options.in_flight)
        return 0
    logging.getLogger("jobs").setLevel(logging.WARNING)
    chat = ChatFormat.load(options.model)
    if options.fixed_speed:
        with fixed_speed(options.fixed_speed, options.in_flight) as endpoint:
            least = compare(endpoint, ["generate-candidates"], options, chat)
    else:
        with vllm(options.model, options.in_flight) as endpoint:
            least = compare(endpoint, list(KINDS), options, chat)
        compare_offline(options, chat)
    return 0 if least >= 0.95 else 1


def engine_of(endpoint: str, chat: ChatFormat, window: int) -> VllmEngine:
    """A client of the server."""
    return VllmEngine((endpoint,), "base", chat, LONGEST, window, timeout=600, patience=300, attempts=4)


def report(kind: str, way: str, n: int, seconds: float, clean: float) -> None:
    """One line."""
    share = f"{clean / seconds:8.1%}" if clean else ""
    sys.stdout.write(f"{kind:<22} {way:<24} {n / seconds:8.2f} requests/s {share}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
