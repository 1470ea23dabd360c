"""Generated web pages and crawl files of them."""

import random
from io import BytesIO
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

COLOURS = ("blue", "green", "grey", "white", "yellow", "brown", "red", "black")
NOUNS = (
    "printer", "network", "kernel", "garden", "kitchen", "engine", "market", "library", "forest", "river", "bridge",
    "camera", "mirror", "window",
)  # fmt: skip
VERBS = (
    "checks", "repairs", "measures", "opens", "compares", "records", "explains", "replaces", "collects", "protects",
)  # fmt: skip
ENDINGS = (
    "before anyone asks for it", "whenever the weather changes", "with a little patience and care",
    "because the older way was slower", "although few people notice it", "and notes the result in a book",
)  # fmt: skip


def paragraph(rng: random.Random, n_sentences: int) -> str:
    """Generate English prose that differs by seed, of words that a tokenizer keeps whole."""
    return " ".join(
        f"The {rng.choice(COLOURS)} {rng.choice(NOUNS)} {rng.choice(VERBS)} the {rng.choice(COLOURS)} "
        f"{rng.choice(NOUNS)} {rng.choice(ENDINGS)}."
        for _ in range(n_sentences)
    )


def page(number: int) -> str:
    """Generate a page of three sections, each long enough for a segment."""
    rng = random.Random(number)
    sections = "".join(
        f"<h2>How to care for the {rng.choice(NOUNS)} ({number}.{i})</h2><p>{paragraph(rng, 10)}</p>" for i in range(3)
    )
    return f"<html><head><title>Page {number}</title></head><body><h1>Handbook {number}</h1>{sections}</body></html>"


def write_warc(path: Path, n_pages: int) -> None:
    """Write a WARC file of `n_pages` pages below https://example.org/."""
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for number in range(n_pages):
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
            record = writer.create_warc_record(
                f"https://example.org/{number}",
                "response",
                payload=BytesIO(page(number).encode()),
                http_headers=headers,
            )
            writer.write_record(record)
