"""Heuristics of well-known corpora as rules on a segment's text, each a pure column.

Sources, which published their thresholds for whole pages: Gopher (arXiv 2112.11446, appendix A),
C4 (arXiv 1910.10683, section 2.2) and FineWeb (arXiv 2406.17557). The limits are the recipe's
(`jobs.quality_config.Quality`), which says where a segment, shorter than a page, has another.
Code between fences is not looked at: its braces, symbols and short lines are what code looks like.
Nor is what the renderer adds: a table's bars are no words, and its rows and headers no lines of prose.
"""

from collections.abc import Callable, Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

CODE = r"(?s)```.*?(?:```|\z)"
MARKUP = r"(?m)^\s*(?:#+|[-*+•]|\d+[.)])\s+|\|(?:\s*-+\s*\|)*"  # at the start of a line, or between a table's cells
NO_PROSE = r"^\s*(?:#+\s|\||$)"  # a header, a table's row, an empty line
BULLET = r"^\s*[-*+•]\s"
ENDED = "[.!?:;\"'\u201d\u2019)\\]`]\\s*$"
ELLIPSIS = r"(?:\.\.\.|\u2026)"
SHORT = r"^.{0,30}$"  # FineWeb
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Gopher
# C4's list of what its authors took for boilerplate, in lower case.
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
LOREM = "lorem ipsum"

Limits = Mapping[str, float | None]


class Text:
    """A text's words and lines as columns; every share is between 0 and 1, of none at all 0."""

    def __init__(self, prose: Column, words: Column, lines: Column) -> None:
        """`prose` is the text without code, `words` are split at white space, `lines` are those of prose."""
        self.prose, self.words, self.lines = prose, words, lines

    def words_where(self, pattern: str) -> Column:
        """The share of the words that match."""
        return _share(F.filter(self.words, lambda w: w.rlike(pattern)), self.words)

    def lines_where(self, pattern: str) -> Column:
        """The share of the lines that match."""
        return _share(F.filter(self.lines, lambda line: line.rlike(pattern)), self.lines)

    def repeated_lines(self) -> Column:
        """The share of the lines that were there before."""
        return (F.size(self.lines) - F.size(F.array_distinct(self.lines))) / F.greatest(F.size(self.lines), F.lit(1))

    def mean_word_chars(self) -> Column:
        """The mean length of a word, in characters."""
        total = F.aggregate(self.words, F.lit(0), lambda chars, word: chars + F.length(word))
        return total / F.greatest(F.size(self.words), F.lit(1))

    def n_stop_words(self) -> Column:
        """How many of the eight stop words are there."""
        plain = F.transform(self.words, lambda w: F.lower(F.regexp_replace(w, r"\W", "")))
        return F.size(F.array_intersect(plain, F.array(*map(F.lit, STOP_WORDS))))


def _share(part: Column, whole: Column) -> Column:
    return F.size(part) / F.greatest(F.size(whole), F.lit(1))


# Rule -> its limit's name in the recipe, and when a text breaks it.
RULES: Mapping[str, tuple[str, Callable[[Text, Column], Column]]] = {
    "few_words": ("min_words", lambda t, n: F.size(t.words) < n),
    "short_words": ("min_word_chars", lambda t, n: t.mean_word_chars() < n),
    "long_words": ("max_word_chars", lambda t, n: t.mean_word_chars() > n),
    "symbols": ("max_symbols", lambda t, n: F.greatest(t.words_where("#"), t.words_where(ELLIPSIS)) > n),
    "few_letters": ("min_letters", lambda t, n: t.words_where(r"\p{L}") < n),
    "few_stop_words": ("min_stop_words", lambda t, n: t.n_stop_words() < n),
    "bullets": ("max_bullets", lambda t, n: t.lines_where(BULLET) > n),
    "ellipses": ("max_ellipses", lambda t, n: t.lines_where(ELLIPSIS + r"\s*$") > n),
    "repeated_lines": ("max_repeated_lines", lambda t, n: t.repeated_lines() > n),
    "unended_lines": ("min_ended_lines", lambda t, n: t.lines_where(ENDED) < n),
    "short_lines": ("max_short_lines", lambda t, n: t.lines_where(SHORT) > n),
    "many_lines": ("max_lines_per_word", lambda t, n: _share(t.lines, t.words) > n),
    "policy": ("max_policy", lambda t, n: _mentions(t.prose, POLICY) > n),
    "lorem_ipsum": ("max_lorem_ipsum", lambda t, n: _mentions(t.prose, (LOREM,)) > n),
}


def quality_fault(text: Column, limits: Limits) -> Column:
    """The name of the first rule that a text breaks; null for one that passes, and for no text.

    `limits` are by the names in `RULES`; a rule whose limit is None or missing is not applied.
    """
    applied = [(rule, broken, limits[name]) for rule, (name, broken) in RULES.items() if limits.get(name) is not None]
    if not applied:
        return F.lit(None).cast("string")

    def first_fault(text: Column) -> Column:
        found = Text(text["prose"], text["words"], text["lines"])
        return F.coalesce(*(F.when(broken(found, F.lit(limit)), rule) for rule, broken, limit in applied))

    prose = F.regexp_replace(text, CODE, "")
    parts = F.struct(
        prose.alias("prose"),
        F.filter(F.split(F.regexp_replace(prose, MARKUP, " "), r"\s+"), lambda w: w != "").alias("words"),
        F.filter(F.split(prose, r"\n"), lambda line: ~line.rlike(NO_PROSE)).alias("lines"),
    )
    # Bound as a lambda's variable, words and lines are found once per text, and not once per rule.
    return F.transform(F.array(parts), first_fault)[0]


def _mentions(prose: Column, phrases: tuple[str, ...]) -> Column:
    """How many of the phrases are in the text."""
    found = [F.contains(F.lower(prose), F.lit(phrase)).cast("int") for phrase in phrases]
    return sum(found[1:], found[0])
