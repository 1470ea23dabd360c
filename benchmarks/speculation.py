"""Effect of vLLM's speculative decoding on the writing of instructions and on rewriting: speed and answers.

python -m benchmarks.speculation MODEL_FOLDER
python -m benchmarks.speculation MODEL_FOLDER --method ngram suffix

The documents are paragraphs of this project's documentation. All answers are greedy, and those of each method are
compared with those of a server without speculation. The result of the handshake with each server is shown. The method
`suffix` needs the package arctic-inference.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import results
from model_ops.client.apis import Completions
from model_ops.client.endpoint import Endpoint, EndpointError
from model_ops.client.engine import Answer
from model_ops.client.handshake import probe
from model_ops.client.served_engine import ServedEngine
from model_ops.devices import has_gpu, served_dtype
from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import VllmServer
from model_ops.text.chat import ChatFormat
from transforms.prompting.prompts import BACKWARD

PORT, LONGEST = 8794, 1024
DOCS = Path(__file__).parents[1] / "docs"
METHODS: dict[str, dict[str, Any]] = {
    "none": {},
    "ngram": {"method": "ngram", "num_speculative_tokens": 8, "prompt_lookup_max": 4, "prompt_lookup_min": 2},
    "suffix": {"method": "suffix", "num_speculative_tokens": 16},
}
KINDS: dict[str, tuple[str, int]] = {  # prompt, most tokens of an answer
    "instruction": (BACKWARD.text, 64),
    "rewrite": (
        "Rewrite the following text as a clear answer, and keep its facts and its wording wherever they are good. "
        "Reply with the new text alone.\n\nText:\n{response}",
        256,
    ),
}
COUNTED = re.compile(r"^vllm:spec_decode_num_(draft|accepted)_tokens_total\{[^}]*\} ([0-9.e+]+)$", re.MULTILINE)


def documents(n: int) -> list[str]:
    """Return the first `n` paragraphs of the documentation that have 300 to 1,200 characters of prose."""
    texts = (text for page in sorted(DOCS.glob("*.md")) for text in page.read_text(encoding="utf-8").split("\n\n"))
    return [*islice((t for t in texts if 300 <= len(t) <= 1200 and t[0].isalpha()), n)]


def requests(kind: str, n: int) -> list[dict[str, Any]]:
    """Return a request of a kind for each of `n` documents."""
    text, max_tokens = KINDS[kind]
    sampling = json.dumps({"temperature": 0, "max_tokens": max_tokens})
    fixed = {"system": "", "prefill": "", "span": None, "sampling": sampling}
    return [
        fixed | {"request_id": f"{kind}/{i}", "prompt": text.replace("{response}", document)}
        for i, document in enumerate(documents(n))
    ]


@contextmanager
def vllm(folder: str, method: str, in_flight: int) -> Iterator[str]:
    """Run a vLLM server that speculates by `method`, and yield its endpoint."""
    config = METHODS[method]
    settings = ServerSettings(
        port=PORT,
        dtype=served_dtype("auto"),
        max_model_len=LONGEST,
        max_num_seqs=in_flight,
        eager=not has_gpu(),
        extra=("--speculative-config", json.dumps(config)) if config else (),
    )
    server = VllmServer(folder, "base", settings, Path(tempfile.gettempdir()) / f"benchmark-vllm-{method}.log")
    server.start()
    try:
        yield server.endpoint
    finally:
        server.stop()


def say_whether_usable(endpoint: str, method: str, chat: ChatFormat) -> None:
    """Print the result of the handshake, which a run requires of every server."""
    try:
        probe(Endpoint(endpoint), "base", chat)
        sys.stdout.write(f"{method}: passes the handshake\n")
    except EndpointError as error:
        sys.stdout.write(f"{method}: fails the handshake: {error}\n")


def drafted(endpoint: str) -> dict[str, float]:
    """Return the tokens that the server has proposed (`draft`) and accepted so far."""
    return {name: float(n) for name, n in COUNTED.findall(Endpoint(endpoint).metrics(timeout=10))}


def measure(endpoint: str, chat: ChatFormat, batch: Sequence[Mapping[str, Any]], in_flight: int) -> tuple[float, Any]:
    """Send the requests; return the seconds and the answers by request id."""
    engine = ServedEngine(
        (endpoint,), Completions("base", chat, LONGEST), in_flight, timeout=600, patience=300, attempts=1
    )
    began = time.perf_counter()
    answers: dict[str, Answer] = {answer.request_id: answer for answer in engine.answers(iter(batch))}
    faults = [answer.error for answer in answers.values() if answer.error]
    assert not faults, faults[0]
    return time.perf_counter() - began, answers


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each method; return exit code 1 if an answer differs from the one without speculation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speculation", description=__doc__)
    parser.add_argument("model", help="folder of a model")
    parser.add_argument("--requests", type=int, default=40, metavar="N", help="number for each kind and method")
    parser.add_argument("--in-flight", type=int, default=8, metavar="N", help="requests in the server at once")
    parser.add_argument("--method", nargs="+", choices=[m for m in METHODS if m != "none"], default=["ngram"])
    results.add_option(parser)
    options = parser.parse_args(arguments)
    chat, n_unlike = ChatFormat.load(options.model), 0
    plain: dict[str, tuple[float, Any]] = {}
    figures = []
    for method in ("none", *options.method):
        with vllm(options.model, method, options.in_flight) as endpoint:
            say_whether_usable(endpoint, method, chat)
            measure(endpoint, chat, requests("instruction", 4), options.in_flight)  # warms up
            for kind in KINDS:
                batch, before = requests(kind, options.requests), drafted(endpoint)
                seconds, answers = measure(endpoint, chat, batch, options.in_flight)
                drafts = {name: n - before[name] for name, n in drafted(endpoint).items()}
                reference = plain.setdefault(kind, (seconds, answers))
                unlike = sum(answers[name].text != reference[1][name].text for name in answers)
                n_unlike += unlike
                report(kind, method, (seconds, reference[0]), [*answers.values()], (drafts, unlike))
                what = f"{kind}, speculation by {method}"
                figures.append(
                    results.Found(what, len(batch) / seconds, "requests/s", len(batch) / reference[0], "none")
                )
    if options.record:
        results.record(results.command_of("speculation", arguments), figures)
    return 1 if n_unlike else 0


def report(
    kind: str, method: str, seconds: tuple[float, float], answers: list[Answer], found: tuple[dict[str, float], int]
) -> None:
    """Print one line: speed, and its ratio to no speculation; the share of drafts accepted; answers that differ."""
    drafts, unlike = found
    n_tokens = sum(answer.n_completion_tokens or 0 for answer in answers)
    share = f"{drafts['accepted'] / max(drafts['draft'], 1):6.1%} of {drafts['draft']:,.0f} drafted" if drafts else ""
    sys.stdout.write(
        f"{kind:<12} {method:<7} {len(answers) / seconds[0]:6.2f} requests/s {n_tokens / seconds[0]:6.1f} tokens/s "
        f"x{seconds[1] / seconds[0]:.2f} {unlike} of {len(answers)} answers differ {share}\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
