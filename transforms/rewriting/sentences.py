"""Split Markdown-like text into sentences with their positions, and sentences into comparable words.

A list item, a header, a row of a table and a line of code each begin a sentence. The time is linear in the text.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from transforms.pages.segment_rules import CODE, SENTENCE_END

Kind = Literal["prose", "header", "row", "code"]

# Quotes, a bullet or a number, and header signs at the start of a line.
LINE_MARK = re.compile(r"[ \t]*(?:>[ \t]*)*(?:(?:[-*+\u2022]|\d{1,3}[.)])(?=[ \t])[ \t]*)?(#{1,6}(?=[ \t])[ \t]*)?")
BOLD_LINE = re.compile(r"(?:\*\*|__)[^*\n]+(?<![.!?])(?:\*\*|__):?\s*")
FULL_WIDTH_END = re.compile(r"(?<=[\u3002\uff01\uff1f])")
# A full stop after these ends no sentence.
ABBREVIATED = re.compile(r"(?:^|[\s(])(?:[A-Z]|Dr|Mr|Mrs|Ms|Prof|St|No|Fig|vs|cf|approx|[eE]\.g|[iI]\.e)\.$")
LONGEST_ABBREVIATION = 8  # with the sign before it
WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
# Chinese and Japanese have no spaces: their words are pairs of neighbouring characters.
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
POSSESSIVE = re.compile(r"['\u2019]s?$")
SUFFIX = re.compile(r"(?:ations?|ions?|ings?|ments?|ness|als?|ers?|ors?|ies|ied|ed|es|ly|s|y|e)$")
MIN_STEM = 3


class Sentence(NamedTuple):
    """A sentence and its place in the text: `text[start:end]`, without the marks of a list or header."""

    text: str
    start: int
    end: int
    kind: Kind


def sentences(text: str) -> list[Sentence]:
    """Return the sentences of a text in their order, with those of code and tables."""
    found: list[Sentence] = []
    at = 0
    for block in CODE.finditer(text) if "```" in text else ():
        found += _sentences_of_prose(text, at, block.start())
        found += _lines(text, block.start(), block.end())
        at = block.end()
    return [*found, *_sentences_of_prose(text, at, len(text))]


def words(text: str) -> Iterator[tuple[str, int]]:
    """Yield each word as written, and its start; a run of Chinese or Japanese characters yields its pairs."""
    for word in WORD.finditer(text):
        if word[0].isascii():
            yield word[0], word.start()
        else:
            yield from _split_unspaced(word[0], word.start())


def _split_unspaced(word: str, start: int) -> Iterator[tuple[str, int]]:
    at = 0
    for run in UNSPACED.finditer(word):
        if at < run.start():
            yield word[at : run.start()], start + at
        yield from ((run[0][i : i + 2], start + run.start() + i) for i in range(max(len(run[0]) - 1, 1)))
        at = run.end()
    if at < len(word):
        yield word[at:], start + at


@lru_cache(maxsize=50_000)
def folded(word: str) -> str:
    """Return a word in lower case, without accents and possessive ending."""
    if not word.isascii():
        word = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    return POSSESSIVE.sub("", word.casefold())


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return the part of a folded word that its English inflections share, roughly: bak for bake and baking."""
    suffix = SUFFIX.search(word)
    if suffix is None or suffix.start() < MIN_STEM:
        return word
    short = word[: suffix.start()]
    return short[:-1] if len(short) > MIN_STEM and short[-1] == short[-2] else short


def _sentences_of_prose(text: str, start: int, end: int) -> Iterator[Sentence]:
    for first, last in _line_places(text, start, end):
        line = text[first:last]
        mark = LINE_MARK.match(line)
        at = mark.end() if mark else 0
        if line[at:].isspace() or at == len(line):
            continue
        if line[at] == "|":
            kind: Kind = "row"
        else:
            kind = "header" if (mark and mark[1]) or BOLD_LINE.fullmatch(line, at) else "prose"
        if kind != "prose":
            yield Sentence(line[at:].rstrip(), first + at, first + len(line.rstrip()), kind)
            continue
        for begin, stop in _split(line, at):
            yield Sentence(line[begin:stop], first + begin, first + stop, kind)


def _split(line: str, at: int) -> Iterator[tuple[int, int]]:
    ends = [(m.start(), m.end()) for m in SENTENCE_END.finditer(line, at)]
    if not line.isascii():
        ends = sorted([*ends, *((m.start(), m.start()) for m in FULL_WIDTH_END.finditer(line, at))])
    for stop, after in ends:
        if stop > at and not ABBREVIATED.search(line[max(stop - LONGEST_ABBREVIATION, at) : stop]):
            yield at, stop
            at = after
    rest = line[at:].rstrip()
    if rest:
        yield at, at + len(rest)


def _lines(text: str, start: int, end: int) -> Iterator[Sentence]:
    """Yield the lines of code between two fences, without these."""
    for first, last in _line_places(text, start, end):
        line = text[first:last]
        at = len(line) - len(line.lstrip())
        if line.strip() and not line[at:].startswith(("```", "- ```")):
            yield Sentence(line.strip(), first + at, first + len(line.rstrip()), "code")


def _line_places(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        if stop > start and not text[start:stop].isspace():
            yield start, stop
        start = stop + 1
