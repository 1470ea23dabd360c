"""How far a wave of requests is, read from the servers' own counters while Spark waits for it."""

import re
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from model_ops.vllm_client import headers

SECONDS = 2.0
FINISHED = re.compile(r"^vllm:request_success_total\{[^}]*\} ([0-9.e+]+)$", re.MULTILINE)


@contextmanager
def watched(endpoints: tuple[str, ...], label: str, total: int) -> Iterator[None]:
    """Show done/total, rate and ETA on stderr while the body runs; silent where servers don't count."""
    start = _finished(endpoints)
    done = threading.Event()
    bar = tqdm(total=total, desc=label, unit="req", file=sys.stderr, mininterval=SECONDS if sys.stderr.isatty() else 15)

    def watch() -> None:
        while not done.wait(SECONDS):
            now = _finished(endpoints)
            bar.update(max(0, min(now - start, total) - bar.n))

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


def _finished(endpoints: tuple[str, ...]) -> int:
    count = 0.0
    for endpoint in endpoints:
        url = endpoint.removesuffix("/").removesuffix("/v1") + "/metrics"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers()), timeout=2) as reply:
                count += sum(float(n) for n in FINISHED.findall(reply.read().decode()))
        except (urllib.error.URLError, OSError):
            continue  # a server too busy to say; the next look will
    return int(count)
