"""Speed of a model server on the demo's kinds of requests, sent by a bare asynchronous client.

python -m benchmarks.server http://127.0.0.1:8000/v1 MODEL
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

import aiohttp

from benchmarks import results
from transforms.scoring.answer_kinds import WRITTEN, one_of

OPEN = 64
WORDS = [
    "the",
    "system",
    "reads",
    "a",
    "table",
    "and",
    "writes",
    "rows",
    "to",
    "disk",
    "when",
    "users",
    "ask",
    "for",
    "it",
]


def prompts(n: int, n_words: int, fixed: int) -> list[str]:
    """Generate `n` texts of `n_words` words (about as many tokens) that share their first `fixed` words."""
    rng = random.Random(n_words)
    beginning = [rng.choice(WORDS) for _ in range(fixed)]
    return [" ".join([*beginning, *(rng.choice(WORDS) for _ in range(n_words - fixed))]) for _ in range(n)]


KINDS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "warm up": (prompts(8, 50, 0), {"max_tokens": 4}),
    "likelihood of a 192-token prompt": (prompts(64, 190, 0), {"max_tokens": 1, "prompt_logprobs": 0}),
    "one token after 390, half of them shared": (prompts(48, 390, 200), {"max_tokens": 1, "logprobs": 5}),
    "12 tokens after 220": (prompts(48, 220, 0), {"max_tokens": 12, "min_tokens": 12}),
    "a rating in words, by a grammar": (
        prompts(24, 120, 100),
        {"max_tokens": 176, "structured_outputs": {"regex": WRITTEN % (160, one_of((1, 5)))}},
    ),
}


async def measure(endpoint: str, model: str) -> list[results.Found]:
    """Print requests/s and tokens/s of each kind with 64 open requests, and return requests/s without the warm-up."""
    figures: list[results.Found] = []
    connector = aiohttp.TCPConnector(limit=OPEN)
    async with aiohttp.ClientSession(connector=connector, raise_for_status=True) as session:

        async def ask(prompt: str, options: dict[str, Any]) -> int:
            body = {"model": model, "prompt": prompt, "temperature": 0} | options
            async with session.post(f"{endpoint}/completions", json=body) as reply:
                return int((await reply.json())["usage"]["total_tokens"])

        for kind, (texts, options) in KINDS.items():
            began = time.perf_counter()
            tokens = await asyncio.gather(*(ask(text, options) for text in texts))
            seconds = time.perf_counter() - began
            figures.append(results.Found(kind, len(texts) / seconds, "requests/s"))
            sys.stdout.write(
                f"{kind:<40} {len(texts) / seconds:6.2f} requests/s {sum(tokens) / seconds:8,.0f} tokens/s\n"
            )
    return figures[1:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the server at the given endpoint."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("endpoint")
    parser.add_argument("model")
    results.add_option(parser)
    options = parser.parse_args(arguments)
    figures = asyncio.run(measure(options.endpoint.rstrip("/"), options.model))
    if options.record:
        results.record("python -m benchmarks.server URL MODEL", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
