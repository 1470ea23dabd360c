"""What identifying a language by a part of the text changes, on pages of a book in many languages.

python -m benchmarks.language FOLDER

FOLDER holds one folder for each language. Pages that are translated in part are the hard ones.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from jobs.config import ExtractSegments
from transforms.charset import decode_page
from transforms.language import language_of_all, sample
from transforms.segments import pieces

MAX_PIECES = 220  # of a language
WAYS: dict[str, Callable[[str], str]] = {
    "whole": lambda text: text,
    "every other stretch": sample,
    "first 600 characters": lambda text: text[:600],
}


def texts(folder: Path, settings: ExtractSegments) -> Iterator[str]:
    """The pieces of the folder's pages whose length fits."""
    for file in sorted(folder.rglob("*.html")):
        html, _ = decode_page(file.read_bytes(), None)
        yield from (p["text"] for p in pieces(html, settings.min_chars, settings.max_chars) if not p["fault"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how many verdicts on `English or not` differ, by language, and what they cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language", description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    language_of_all("")  # loads the model
    n, differ = 0, Counter[str]()
    seconds = dict.fromkeys(WAYS, 0.0)
    for folder in sorted(f for f in options.folder.iterdir() if f.is_dir()):
        some = list(islice(texts(folder, ExtractSegments()), MAX_PIECES))
        english: dict[str, list[bool]] = {}
        for way, shorten in WAYS.items():
            began = time.perf_counter()
            english[way] = [language_of_all(shorten(text))[0] == "en" for text in some]
            seconds[way] += time.perf_counter() - began
        here = {way: sum(a != b for a, b in zip(english["whole"], english[way], strict=True)) for way in WAYS}
        sys.stdout.write(f"{folder.name:<8} {len(some):>5} pieces, {sum(english['whole'])} English; differ: {here}\n")
        n, differ = n + len(some), differ + Counter(here)
    for way in WAYS:
        share = seconds[way] / seconds["whole"]
        sys.stdout.write(f"{way:<22} {differ[way]:>5} of {n} verdicts differ, {share:.0%} of the time\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
