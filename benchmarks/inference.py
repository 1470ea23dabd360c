"""Speed of requests through Spark and through our client, beside a bare asynchronous client and vLLM's offline batch.

python -m benchmarks.inference MODEL_FOLDER
python -m benchmarks.inference MODEL_FOLDER --fixed-speed 1.0 --requests 2000
python -m benchmarks.inference MODEL_FOLDER --order --servers 2 --requests 256

The second command replaces the model by a server that takes a second for each request, `--in-flight` at once. It
models a separate machine, from which Spark takes no core.

The third command sends `SAMPLES` requests for each prompt through Spark, first with each wave in the order of a hash,
then in the order of its prompts. It prints requests/s and the share of prompt tokens that the servers had in their
caches.

All figures cover the time in which the server has requests, so no start-up counts. Runs use different prompts of the
same length with the same beginning, so that none profits from another's prefix cache.
`--partitions` without a number leaves out Spark and needs no JVM.
"""

import argparse
import asyncio
import hashlib
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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from benchmarks import results
from benchmarks.fixed_speed import fixed_speed
from benchmarks.server import prompts
from model_ops.client.apis import Completions
from model_ops.client.endpoint import Endpoint
from model_ops.client.served_engine import ServedEngine
from model_ops.devices import has_gpu, served_dtype
from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import VllmServer, cpu_environment
from model_ops.text.chat import ChatFormat

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PORT, LONGEST = 8793, 1024
SAMPLES = 4
KINDS: dict[str, tuple[int, str, dict[str, Any]]] = {  # words of a prompt, the answer's beginning, sampling
    "generate-candidates": (220, "", {"temperature": 0.7, "top_p": 0.9, "max_tokens": 12}),
    "one-token scoring": (300, "Score: ", {"temperature": 0, "max_tokens": 1, "labels": list("12345")}),
}
BUSY = re.compile(r"^vllm:num_requests_(?:running|waiting)\{[^}]*\} ([0-9.e+]+)$", re.MULTILINE)


def requests(kind: str, n: int, run: str) -> list[dict[str, Any]]:
    """Generate `n` requests of a kind; those of another `run` share their first 100 words only."""
    words, prefill, sampling = KINDS[kind]
    rng = random.Random(run)
    texts = [" ".join([*t.split()[:100], *rng.sample(t.split()[100:], words - 100)]) for t in prompts(n, words, 100)]
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
def vllm(folder: str, in_flight: int, number: int = 0, kv_cache_gb: int = 2) -> Iterator[str]:
    """Run a vLLM server with a run's settings, the first or another `number`, and yield its endpoint."""
    log = Path(tempfile.gettempdir()) / f"benchmark-vllm-{number}.log"
    settings = ServerSettings(
        port=PORT + number,
        dtype=served_dtype("auto"),
        max_model_len=LONGEST,
        max_num_seqs=in_flight,
        eager=not has_gpu(),
        kv_cache_gb=kv_cache_gb,
    )
    server = VllmServer(folder, "base", settings, log)
    server.start()
    try:
        yield server.endpoint
    finally:
        server.stop()


@contextmanager
def busy_seconds(*endpoints: str) -> Iterator[list[float]]:
    """Yield a list that receives at the end the seconds from first request to last answer, within 0.1 s."""
    busy_at: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            if any(float(n) for e in endpoints for n in BUSY.findall(Endpoint(e).metrics(timeout=10))):
                busy_at.append(time.perf_counter())

    seconds: list[float] = []
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seconds
    finally:
        done.set()
        thread.join()
        seconds.append(busy_at[-1] - busy_at[0])


async def bare(engine: ServedEngine, batch: Sequence[Mapping[str, Any]]) -> None:
    """Send the requests with a minimal client that keeps the same number open."""
    bodies = [engine.api.call(request).body for request in batch]
    places, pool = asyncio.Semaphore(engine.window), aiohttp.TCPConnector(limit=engine.window)
    async with aiohttp.ClientSession(connector=pool, raise_for_status=True) as session:

        async def ask(body: dict[str, Any]) -> None:
            async with places, session.post(f"{engine.endpoints[0]}/completions", json=body) as reply:
                await reply.json()

        await asyncio.gather(*(ask(body) for body in bodies))


def alone(engine: ServedEngine, batch: Sequence[Mapping[str, Any]]) -> None:
    """Send the requests with our client in one process, as one Spark task does."""
    faults = [answer.error for answer in engine.answers(iter(batch)) if answer.error]
    assert not faults, faults[0]


def through_spark(
    spark: "SparkSession",
    engine: ServedEngine,
    batch: list[dict[str, Any]],
    tasks: tuple[int, int],
    order: tuple[str, ...] | None = None,
) -> None:
    """Send the requests with Spark, in waves, to the ledger of a new lake.

    `tasks` are the number of partitions and of requests in flight; `order` is that of a wave, by default the product's.
    """
    from jobs.inference.waves import BY_PREFIX, Stage, send
    from jobs.lake.materialised import materialised
    from jobs.lake.runs import Run
    from jobs.lake.writing import RunLake
    from jobs.recipe.config import Inference
    from schemas.request import REQUEST
    from schemas.silver import CANDIDATES

    default = Inference().rows_per_wave
    small_wave = -(-2 * len(batch) // 5)  # at least three waves
    partitions, in_flight = tasks
    settings = Inference(rows_per_wave=min(default, small_wave), partitions=partitions, in_flight=in_flight)
    with tempfile.TemporaryDirectory() as root:
        lake = RunLake(spark, root, Run("benchmark", "benchmark", "0" * 16, CANDIDATES))
        staged = materialised(spark.createDataFrame(batch, REQUEST))  # type: ignore[type-var]
        stage = Stage(staged, len(batch), len(batch), order=order or BY_PREFIX)
        done = send(lake, stage, engine, settings, partitions)
    assert done.sent == len(batch)
    assert not done.failed, done.fault


def offline(folder: str, in_flight: int) -> None:
    """Run the token ids from stdin through vLLM's offline batch, and print the seconds; needs a separate process."""
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
    """Print requests/s of each client and its share of the bare client's, and return Spark's lowest share."""
    lowest, window = 1.0, 2 * options.in_flight  # two waves are open
    if options.partitions:
        from jobs.lake.session import spark_session

        # One core per task of two waves of the most partitions: as in a cluster, tasks mostly wait.
        spark = spark_session(**{"spark.master": f"local[{2 * max(options.partitions)}]"})
    try:
        for kind in kinds:
            engine = engine_of([endpoint], chat, window)
            asyncio.run(bare(engine, requests(kind, 4, "warm")))
            with busy_seconds(endpoint) as clean:
                asyncio.run(bare(engine, requests(kind, options.requests, f"{kind}/bare")))
            report(kind, "bare client", options.requests, clean[0], clean[0])
            with busy_seconds(endpoint) as seconds:
                alone(engine, requests(kind, options.requests, f"{kind}/alone"))
            report(kind, "our client, one process", options.requests, seconds[0], clean[0])
            for n in options.partitions:
                engine = engine_of([endpoint], chat, -(-options.in_flight // n))
                through_spark(spark, engine, requests(kind, 2 * n, f"{kind}/warm/{n}"), (n, options.in_flight))
                with busy_seconds(endpoint) as seconds:
                    batch = requests(kind, options.requests, f"{kind}/spark/{n}")
                    through_spark(spark, engine, batch, (n, options.in_flight))
                report(kind, f"Spark, {n} partitions", options.requests, seconds[0], clean[0])
                lowest = min(lowest, clean[0] / seconds[0])
    finally:
        if options.partitions:
            spark.stop()
    return lowest


def compare_orders(options: argparse.Namespace, chat: ChatFormat) -> list[results.Found]:
    """Print requests/s and the caches' hit rate for each order of a wave, and return them."""
    from jobs.inference.progress import PROMPTED, REUSED, counters
    from jobs.inference.waves import BY_PREFIX
    from jobs.lake.session import spark_session

    kind, tasks, found = "generate-candidates", max(options.partitions), []
    spark = spark_session(**{"spark.master": f"local[{2 * tasks}]"})
    with ExitStack() as stack:
        stack.callback(spark.stop)
        urls = [
            stack.enter_context(vllm(options.model, options.in_flight, n, kv_cache_gb=1))
            for n in range(options.servers)
        ]
        servers = tuple(Endpoint(url) for url in urls)
        engine = engine_of(urls, chat, -(-options.in_flight * len(urls) // tasks))
        through_spark(spark, engine, samples(kind, 2 * tasks, "warm"), (tasks, options.in_flight))
        for name, order in {"by hash": ("request_id",), "by prefix": BY_PREFIX}.items():
            batch, start = samples(kind, options.requests, name), counters(servers)
            with busy_seconds(*urls) as seconds:
                through_spark(spark, engine, batch, (tasks, options.in_flight), order)
            end = counters(servers)
            hits = (end[REUSED] - start[REUSED]) / (end[PROMPTED] - start[PROMPTED])
            what = f"waves {name}, {len(urls)} servers, {SAMPLES} samples of a prompt"
            sys.stdout.write(f"{what}: {len(batch) / seconds[0]:.2f} requests/s, {hits:.1%} of prompt tokens cached\n")
            sys.stdout.flush()
            found += [
                results.Found(what, len(batch) / seconds[0], "requests/s"),
                results.Found(f"{what}: prompt tokens cached", 100 * hits, "%"),
            ]
    return found


def samples(kind: str, n: int, run: str) -> list[dict[str, Any]]:
    """Generate `SAMPLES` requests for each of `n` prompts, whose ids are in no order."""
    return [
        request
        | {"sample": sample, "request_id": hashlib.sha256(f"{request['request_id']}/{sample}".encode()).hexdigest()}
        for request in requests(kind, n, run)
        for sample in range(SAMPLES)
    ]


def compare_offline(options: argparse.Namespace, chat: ChatFormat) -> None:
    """Print requests/s of vLLM's offline batch, run in a separate process."""
    engine = engine_of([""], chat, 1)
    bodies = [
        [engine.api.call(r).body for r in requests(kind, n, f"{kind}/{run}")]
        for kind in KINDS
        for run, n in (("warm", 4), ("offline", options.requests))
    ]
    environment = os.environ | ({} if has_gpu() else cpu_environment(2, eager=True)) | {"HF_HUB_OFFLINE": "1"}
    in_flight = str(options.in_flight)
    line = [sys.executable, "-m", "benchmarks.inference", options.model, "--offline", "--in-flight", in_flight]
    child = subprocess.run(
        line, input=json.dumps(bodies), text=True, stdout=subprocess.PIPE, env=environment, check=True
    )
    for kind, seconds in zip(KINDS, re.findall(r"^seconds (.+)$", child.stdout, re.MULTILINE)[1::2], strict=True):
        report(kind, "vLLM's offline batch", options.requests, float(seconds), 0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return exit code 1 if Spark has under 95 % of the bare client's speed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    parser.add_argument("model", help="folder of a model")
    parser.add_argument("--requests", type=int, default=64, help="number for each kind and client")
    parser.add_argument("--in-flight", type=int, default=16, help="requests in the server; twice as many are open")
    parser.add_argument("--partitions", type=int, nargs="*", default=[1, 2, 8])
    parser.add_argument("--fixed-speed", type=float, metavar="SECONDS", help="no model; each request takes SECONDS")
    parser.add_argument("--order", action="store_true", help="compare the orders of a wave instead")
    parser.add_argument("--servers", type=int, default=1, metavar="N", help="number of servers for --order")
    parser.add_argument("--offline", action="store_true", help=argparse.SUPPRESS)
    results.add_option(parser)
    options = parser.parse_args(arguments)
    if options.offline:
        offline(options.model, options.in_flight)
        return 0
    logging.getLogger("jobs").setLevel(logging.WARNING)
    chat = ChatFormat.load(options.model)
    if options.order:
        found = compare_orders(options, chat)
        if options.record:
            results.record(results.command_of("inference", arguments), found)
        return 0
    if options.fixed_speed:
        with fixed_speed(options.fixed_speed, options.in_flight) as endpoint:
            lowest = compare(endpoint, ["generate-candidates"], options, chat)
    else:
        with vllm(options.model, options.in_flight) as endpoint:
            lowest = compare(endpoint, list(KINDS), options, chat)
        compare_offline(options, chat)
    if options.record:
        what = "lowest share of a bare client's speed, through Spark"
        results.record(results.command_of("inference", arguments), [results.Found(what, 100 * lowest, "%")])
    return 0 if lowest >= 0.95 else 1


def engine_of(endpoints: Sequence[str], chat: ChatFormat, window: int) -> ServedEngine:
    """Return a client of the servers."""
    return ServedEngine(
        tuple(endpoints), Completions("base", chat, LONGEST), window, timeout=600, patience=300, attempts=4
    )


def report(kind: str, way: str, n: int, seconds: float, clean: float) -> None:
    """Print one line of the comparison."""
    share = f"{clean / seconds:8.1%}" if clean else ""
    sys.stdout.write(f"{kind:<22} {way:<24} {n / seconds:8.2f} requests/s {share}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
