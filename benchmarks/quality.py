"""Number and examples of the pieces that each quality rule drops from a corpus, to judge its limit on segments.

python -m benchmarks.quality --show 2 demo/corpus/*.warc.gz
"""

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pyspark.sql import functions as F

from jobs.lake.session import spark_session
from jobs.recipe.config import ExtractSegments, IngestDocuments
from jobs.report.facts import KEPT
from transforms.crawl.documents import file_rows
from transforms.pages.language import identify_languages
from transforms.pages.quality_rules import RULES, quality_fault
from transforms.pages.segment_rules import header_fault, is_repetitive
from transforms.pages.segments import pieces

SETTINGS = ExtractSegments()
LIMITS = SETTINGS.quality.model_dump()
MAX_BYTES = IngestDocuments().max_record_bytes


def main(arguments: Sequence[str] | None = None) -> int:
    """Print for each rule how many pieces that pass the paper's rules it drops as the first rule, and alone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument(
        "--show", type=int, default=0, metavar="N", help="print N pieces of those that each rule is the first to drop"
    )
    options = parser.parse_args(arguments)
    texts = [(url, text) for file in options.files for url, text in _texts(file)]
    frame = spark_session().createDataFrame(texts, "url string, text string").repartition(2)
    alone = {rule: quality_fault(F.col("text"), {limit: LIMITS[limit]}) for rule, (limit, _) in RULES.items()}
    judged = frame.withColumn("first", F.coalesce(quality_fault(F.col("text"), LIMITS), F.lit(KEPT)))
    rows = judged.select("url", "text", "first", *(fault.alias(rule) for rule, fault in alone.items())).collect()
    sys.stdout.write(f"{len(rows):,} pieces\n{'rule':<16} {'limit':>6} {'first':>7} {'alone':>7} {'alone %':>8}\n")
    for rule, (limit, _) in RULES.items():
        n_first, n_alone = sum(row.first == rule for row in rows), sum(row[rule] is not None for row in rows)
        share = 100 * n_alone / len(rows)
        sys.stdout.write(f"{rule:<16} {LIMITS[limit]!s:>6} {n_first:7,} {n_alone:7,} {share:8.2f}\n")
    for rule in RULES if options.show else ():
        dropped = [row for row in rows if row.first == rule]
        for row in random.Random(0).sample(dropped, min(options.show, len(dropped))):
            sys.stdout.write(f"\n=== {rule} {row.url}\n{row.text}\n")
    return 0


def _texts(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the URL and text of each piece of a crawl file that passes the rules before the quality rules."""
    for row in file_rows(str(file), MAX_BYTES):
        if not row.get("content"):
            continue
        for piece in pieces(row["content"], SETTINGS.min_chars, SETTINGS.max_chars, row["media_type"]):
            text = piece["text"]
            if piece["fault"] or header_fault(piece["header"]):
                continue
            if is_repetitive(text, SETTINGS.sentence_ngram, SETTINGS.max_sentence_jaccard):
                continue
            if identify_languages([text])[0][0] == SETTINGS.language:
                yield row["url"], text


if __name__ == "__main__":
    sys.exit(main())
