"""Speed of each stage from crawl files to segments on one core, beside parsing alone.

python -m benchmarks.pages demo/corpus/*.warc.gz
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from benchmarks import results
from jobs.recipe.config import ExtractSegments, IngestDocuments
from schemas.bronze import HTML
from transforms.crawl.documents import file_rows
from transforms.crawl.warc import read_records
from transforms.pages.language import identify_languages
from transforms.pages.personal_data import scrubbed
from transforms.pages.segment_rules import header_fault, is_repetitive
from transforms.pages.segments import pieces

RULES = ExtractSegments()
MAX_BYTES = IngestDocuments().max_record_bytes


def main(arguments: Sequence[str] | None = None) -> int:
    """Print for each stage the median of three runs in pages/s and MB/s of HTML, and its share of parsing's speed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    results.add_option(parser)
    options = parser.parse_args(arguments)
    files: list[Path] = options.files
    rows = [row for file in files for row in file_rows(str(file), MAX_BYTES)]
    pages = [row["content"] for row in rows if row.get("media_type") == HTML]
    kept = [piece["text"] for html in pages for piece in _pieces(html) if not piece["fault"]]
    megabytes = sum(len(html) for html in pages) / 1e6
    sys.stdout.write(f"{len(pages):,} pages, {megabytes:,.1f} MB of HTML, {len(kept):,} pieces of the right length\n")

    stages: dict[str, Callable[[], object]] = {
        "parse only": lambda: [LexborHTMLParser(html).body for html in pages],
        "read WARC": lambda: [n for file in files for n in _records(file)],
        "read and decode": lambda: [row for file in files for row in file_rows(str(file), MAX_BYTES)],
        "cut into pieces": lambda: [piece for html in pages for piece in _pieces(html)],
        "rules on pieces": lambda: [
            header_fault(text[:80]) or is_repetitive(text, RULES.sentence_ngram, RULES.max_sentence_jaccard)
            for text in kept
        ],
        "language of pieces": lambda: identify_languages(kept),
        "scrub of pieces": lambda: [scrubbed(text, RULES.scrub, RULES.phone_region) for text in kept],
    }
    base, figures = 0.0, []
    for name, stage in stages.items():
        seconds = statistics.median(_seconds(stage) for _ in range(3))
        base = base or seconds
        figures.append(results.Found(name, len(pages) / seconds, "pages/s"))
        sys.stdout.write(
            f"{name:<20} {len(pages) / seconds:8,.0f} pages/s {megabytes / seconds:8.1f} MB/s {base / seconds:6.2f}\n"
        )
    if options.record:
        results.record(results.command_of("pages", arguments), figures)
    return 0


def _records(file: Path) -> list[int]:
    with file.open("rb") as stream:
        return [record.offset for record in read_records(stream, MAX_BYTES)]


def _pieces(html: str) -> list[dict[str, Any]]:
    return list(pieces(html, RULES.min_chars, RULES.max_chars))


def _seconds(stage: Callable[[], object]) -> float:
    began = time.perf_counter()
    stage()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
