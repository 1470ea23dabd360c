"""Cost of faults between client and server: the same requests in a clean run, and in one with faults and an outage.

python -m benchmarks.faults
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import results
from model_ops.client.apis import Completions
from model_ops.client.engine import Answer
from model_ops.client.served_engine import ServedEngine
from model_ops.text.chat import ChatFormat
from tests.model_ops.fake_server import RESET, Reply, Script, completion, faulty, serving
from tests.tiny_model import save_tokenizer

WINDOW = 64
SERVED = 64  # requests that the server computes at once
SECONDS = 1.0  # for each request


def sound(body: dict[str, Any]) -> Reply:
    """Answer after `SECONDS`, for at most `SERVED` requests at once."""
    with _PLACES:
        time.sleep(SECONDS)
    return completion(f"Answer to {len(body['prompt'])} tokens.")


_PLACES = threading.BoundedSemaphore(SERVED)


def with_outage(script: Script, begins: float, lasts: float) -> Script:
    """Wrap a script so that every connection is reset for `lasts` seconds, beginning `begins` seconds from now."""
    start = time.monotonic() + begins

    def answer(path: str, body: dict[str, Any] | None, number: int) -> Reply:
        if start <= time.monotonic() < start + lasts:
            return RESET, {}, None
        return script(path, body, number)

    return answer


def measure(chat: ChatFormat, script: Script, n: int) -> tuple[float, list[Answer]]:
    """Send `n` requests, and return the seconds and the answers."""
    sampling = json.dumps({"temperature": 0.7, "max_tokens": 9})
    requests = (
        {"request_id": str(i), "sampling": sampling, "system": "", "prompt": f"Row {i}", "prefill": "", "span": None}
        for i in range(n)
    )
    with serving(script) as endpoint:
        engine = ServedEngine((endpoint,), Completions("m-1", chat, 512), WINDOW, timeout=600, patience=300, attempts=4)
        began = time.monotonic()
        answers = list(engine.answers(requests))
        return time.monotonic() - began, answers


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both runs; exit code 1 if a row was lost or throughput outside the outage fell under 85 %."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--share", type=float, default=0.1, help="share of faulty replies")
    parser.add_argument("--outage", type=float, default=20.0, help="length of the outage in seconds")
    results.add_option(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(Path(folder))
        chat = ChatFormat.load(folder)
        clean, _ = measure(chat, lambda path, body, number: sound(body or {}), options.requests)
        script = with_outage(faulty(sound, options.share, hangs_for=600), 10, options.outage)
        seconds, answers = measure(chat, script, options.requests)
    statuses = Counter(a.status for a in answers)
    share = clean / (seconds - options.outage)
    complete = len({a.request_id for a in answers}) == options.requests
    sys.stdout.write(
        f"clean {clean:.1f} s, {options.requests / clean:.1f} requests/s; with {options.share:.0%} faults and "
        f"{options.outage:g} s of silence {seconds:.1f} s, outside it {share:.1%} of the clean throughput; "
        f"{dict(statuses)}\n"
    )
    for answer in [a for a in answers if a.error][:5]:
        sys.stdout.write(f"{answer.status}: {answer.error}\n")
    if options.record:
        what = f"speed outside {options.outage:g} s of silence, {options.share:.0%} of the replies faulty"
        results.record(results.command_of("faults", arguments), [results.Found(what, 100 * share, "%")])
    return 0 if complete and share >= 0.85 else 1


if __name__ == "__main__":
    sys.exit(main())
