"""Quality heuristics of well-known corpora as rules on a segment's text, each a pure column.

Sources, with thresholds for whole pages: Gopher (arXiv 2112.11446, appendix A), C4 (arXiv 1910.10683,
section 2.2) and FineWeb (arXiv 2406.17557). `Quality`, a section of the recipe, states the limits that
differ for segments, which are shorter than pages.
The rules ignore code between fences, whose braces, symbols and short lines are normal, and the renderer's
markup: a table's bars are not words, and its rows and headers are not lines of prose.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.pages.segment_rules import FENCED

MARKUP = r"(?m)^\s*(?:#+|[-*+•]|\d+[.)])\s+|\|(?:\s*-+\s*\|)*"  # at the start of a line, or between a table's cells
NO_PROSE = r"^\s*(?:#+\s|\||$)"  # a header, a table's row, an empty line
BULLET = r"^\s*[-*+•]\s"
ENDED = "[.!?:;\"'\u201d\u2019)\\]`]\\s*$"
ELLIPSIS = r"(?:\.\.\.|\u2026)"
SHORT = r"^.{0,30}$"  # FineWeb
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Gopher
# C4's list of boilerplate phrases, in lower case.
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
LOREM = "lorem ipsum"

PARTS = ("lower", "plain", "words", "lines")
Limits = Mapping[str, float | None]


class Text:
    """A text's words and lines as columns; shares run from 0 to 1, and are 0 for a text without words or lines."""

    def __init__(self, lower: Column, plain: Column, words: Column, lines: Column) -> None:
        """`plain` is the prose without markup, `words` are its words; `lower` and `lines` are of all prose."""
        self.lower, self.plain, self.words, self.lines = lower, plain, words, lines

    def words_where(self, pattern: str) -> Column:
        """Return the share of the words that contain the pattern, which must not span two words."""
        share = _share(F.filter(self.words, lambda w: w.rlike(pattern)), self.words)
        return F.when(~self.plain.rlike(pattern), 0.0).otherwise(share)

    def lines_where(self, pattern: str) -> Column:
        """Return the share of the lines that match the pattern."""
        return _share(F.filter(self.lines, lambda line: line.rlike(pattern)), self.lines)

    def repeated_lines(self) -> Column:
        """Return the share of the lines that repeat an earlier line."""
        return (F.size(self.lines) - F.size(F.array_distinct(self.lines))) / F.greatest(F.size(self.lines), F.lit(1))

    def mean_word_chars(self) -> Column:
        """Return the mean length of a word, in characters."""
        return F.length(F.array_join(self.words, "")) / F.greatest(F.size(self.words), F.lit(1))

    def n_stop_words(self) -> Column:
        """Return the number of distinct stop words, out of eight, in the text."""
        plain = F.split(F.regexp_replace(self.lower, r"[^\w\s]", ""), r"\s+")
        return F.size(F.array_intersect(plain, F.array(*map(F.lit, STOP_WORDS))))


def _share(part: Column, whole: Column) -> Column:
    return F.size(part) / F.greatest(F.size(whole), F.lit(1))


@dataclass(frozen=True)
class Rule:
    """A rule: its `drop_reason`, and the condition under which a text breaks it at a limit."""

    name: str
    broken: Callable[[Text, Column], Column]


class Quality(BaseModel):
    """Limits of the quality rules, in the order in which the rules are applied; an unset limit switches its rule off.

    Limits that differ from the published ones were set on the demo's 2,515 pieces of Debian's
    documentation that pass the paper's rules: `python -m benchmarks.quality` shows what each rule drops.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_words: Annotated[int | None, Rule("few_words", lambda t, n: F.size(t.words) < n)] = Field(
        20, description="minimum number of words outside code; Gopher's limit of 50 drops well-explained examples"
    )
    min_word_chars: Annotated[float | None, Rule("short_words", lambda t, n: t.mean_word_chars() < n)] = Field(
        3, description="minimum mean word length, in characters (Gopher)"
    )
    max_word_chars: Annotated[float | None, Rule("long_words", lambda t, n: t.mean_word_chars() > n)] = Field(
        10, description="maximum mean word length, in characters (Gopher)"
    )
    max_symbols: Annotated[
        float | None, Rule("symbols", lambda t, n: F.greatest(t.words_where("#"), t.words_where(ELLIPSIS)) > n)
    ] = Field(0.1, description="maximum share of words with #, or with an ellipsis (Gopher)")
    min_letters: Annotated[float | None, Rule("few_letters", lambda t, n: t.words_where(r"\p{L}") < n)] = Field(
        0.8, description="minimum share of words with a letter (Gopher)"
    )
    min_stop_words: Annotated[int | None, Rule("few_stop_words", lambda t, n: t.n_stop_words() < n)] = Field(
        2, description="minimum number of different words out of: the, be, to, of, and, that, have, with (Gopher)"
    )
    max_bullets: Annotated[float | None, Rule("bullets", lambda t, n: t.lines_where(BULLET) > n)] = Field(
        None,
        description="maximum share of lines that are list items; Gopher's limit of 0.9 drops lists of sentences",
    )
    max_ellipses: Annotated[float | None, Rule("ellipses", lambda t, n: t.lines_where(ELLIPSIS + r"\s*$") > n)] = Field(
        0.5,
        description="maximum share of lines that end in an ellipsis; Gopher's limit of 0.3 drops one line of three",
    )
    max_repeated_lines: Annotated[float | None, Rule("repeated_lines", lambda t, n: t.repeated_lines() > n)] = Field(
        0.3, description="maximum share of lines that repeat an earlier line (Gopher)"
    )
    min_ended_lines: Annotated[float | None, Rule("unended_lines", lambda t, n: t.lines_where(ENDED) < n)] = Field(
        0.12, description="minimum share of lines that end in punctuation (FineWeb)"
    )
    max_short_lines: Annotated[float | None, Rule("short_lines", lambda t, n: t.lines_where(SHORT) > n)] = Field(
        0.67, description="maximum share of lines of at most 30 characters (FineWeb)"
    )
    max_lines_per_word: Annotated[float | None, Rule("many_lines", lambda t, n: _share(t.lines, t.words) > n)] = Field(
        0.3, description="maximum number of lines per word (FineWeb)"
    )
    max_policy: Annotated[int | None, Rule("policy", lambda t, n: _mentions(t.lower, POLICY) > n)] = Field(
        0, description="maximum number of phrases such as privacy policy; C4 drops only the line"
    )
    max_lorem_ipsum: Annotated[int | None, Rule("lorem_ipsum", lambda t, n: _mentions(t.lower, (LOREM,)) > n)] = Field(
        0, description="0 drops a text that contains lorem ipsum (C4)"
    )


RULES: Mapping[str, tuple[str, Callable[[Text, Column], Column]]] = {
    rule.name: (limit, rule.broken)
    for limit, field in Quality.model_fields.items()
    for rule in field.metadata
    if isinstance(rule, Rule)
}
"""Rule -> the name of its limit in `Quality`, and the condition under which a text breaks it."""


def quality_fault(text: Column, limits: Limits) -> Column:
    """Return the name of the first rule that a text breaks; null for a text that passes and for a null.

    `limits` has the names in `RULES`; a rule whose limit is None or missing is not applied.
    """
    applied = [(rule, broken, limits[name]) for rule, (name, broken) in RULES.items() if limits.get(name) is not None]
    if not applied:
        return F.lit(None).cast("string")

    def first_fault(text: Column) -> Column:
        features = Text(*(text[part] for part in PARTS))
        return F.coalesce(*(F.when(broken(features, F.lit(limit)), rule) for rule, broken, limit in applied))

    def parts(prose: Column, plain: Column) -> Column:
        words = F.array_remove(F.split(plain, r"\s+"), "")
        lines = F.filter(F.split(prose, r"\n"), lambda line: ~line.rlike(NO_PROSE))
        return F.struct(*(c.alias(part) for part, c in zip(PARTS, (F.lower(prose), plain, words, lines), strict=True)))

    prose = F.regexp_replace(text, FENCED, "")
    return _let(
        prose, lambda p: _let(F.regexp_replace(p, MARKUP, " "), lambda plain: _let(parts(p, plain), first_fault))
    )


def _let(value: Column, use: Callable[[Column], Column]) -> Column:
    """Apply `use` to a value that is computed only once, even if `use` refers to it several times."""
    return F.transform(F.array(value), use)[0]


def _mentions(lower: Column, phrases: tuple[str, ...]) -> Column:
    """Return the number of phrases that a lower-case text contains, each counted once."""
    is_present = [F.contains(lower, F.lit(phrase)).cast("int") for phrase in phrases]
    return sum(is_present[1:], is_present[0])
