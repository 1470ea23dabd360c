"""Progress of a wave of requests on stderr, from the counters that the servers publish."""

import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from jobs.lake.runs import Run
from model_ops.client.endpoint import Endpoint, EndpointError

POLL_SECONDS = 2.0
FINISHED, PROMPTED, REUSED = "request_success", "prefix_cache_queries", "prefix_cache_hits"
COUNTED = re.compile(
    rf"^vllm:({FINISHED}|{PROMPTED}|{REUSED})_total\{{[^}}]*\}} (\d+(?:\.\d+)?(?:e[+-]?\d+)?)$", re.MULTILINE
)
MAX_COUNTER = 1e15
"""Tokens; a larger counter is invalid and ignored."""


@contextmanager
def watched(endpoints: tuple[Endpoint, ...], run: Run, total: int) -> Iterator[None]:
    """Show done/total, rate and ETA on stderr while the body runs, and add the prefix caches' counts to the run.

    The bar moves only at the end if the servers publish no counters.
    """
    start = counters(endpoints)
    done = threading.Event()
    interval = POLL_SECONDS if sys.stderr.isatty() else 15
    bar = tqdm(total=total, desc=run.job, unit="req", file=sys.stderr, mininterval=interval)

    def watch() -> None:
        while not done.wait(POLL_SECONDS):
            now = counters(endpoints)
            bar.update(max(0, min(int(now[FINISHED] - start[FINISHED]), total) - bar.n))

    thread = threading.Thread(target=watch, daemon=True)
    if endpoints:
        thread.start()
    try:
        yield
        bar.update(total - bar.n)
    finally:
        done.set()
        if endpoints:
            thread.join()
        bar.close()
        end = counters(endpoints)
        run.prefix_tokens += max(0, int(end[PROMPTED] - start[PROMPTED]))
        run.prefix_hits += max(0, int(end[REUSED] - start[REUSED]))


def counters(endpoints: tuple[Endpoint, ...]) -> Counter[str]:
    """Sum the servers' counters since their start; a server that does not answer counts as zero."""
    counts: Counter[str] = Counter()
    for endpoint in endpoints:
        try:
            text = endpoint.metrics()
        except EndpointError:
            continue  # a server too busy to answer; the next poll may succeed
        for name, number in COUNTED.findall(text):
            counts[name] += int(float(number)) if float(number) < MAX_COUNTER else 0
    return counts
