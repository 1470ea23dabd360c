"""The limits of the quality rules, each with its source."""

from pydantic import Field

from jobs.recipe.section import Section


class Quality(Section):
    """Limits of the rules in `transforms.pages.quality_rules`; a rule without a limit is not applied.

    Where a limit is not the published one, it was set on the demo's 2,515 pieces of Debian's
    documentation that pass the paper's rules: `python -m benchmarks.quality` shows what each drops.
    """

    min_words: int | None = Field(20, description="outside code; Gopher's 50 drops examples that are well explained")
    min_word_chars: float | None = Field(3, description="Gopher")
    max_word_chars: float | None = Field(10, description="Gopher")
    max_symbols: float | None = Field(0.1, description="Gopher: words with #, or with an ellipsis")
    min_letters: float | None = Field(0.8, description="Gopher: words with a letter")
    min_stop_words: int | None = Field(2, description="Gopher: of the, be, to, of, and, that, have, with")
    max_bullets: float | None = Field(
        None,
        description="lines; Gopher's 0.9 drops sections that are a list of sentences, lists of links fall elsewhere",
    )
    max_ellipses: float | None = Field(0.5, description="lines that end in one; Gopher's 0.3 is one of three here")
    max_repeated_lines: float | None = Field(0.3, description="Gopher")
    min_ended_lines: float | None = Field(0.12, description="FineWeb: lines that end in punctuation")
    max_short_lines: float | None = Field(0.67, description="FineWeb: lines of at most 30 characters")
    max_lines_per_word: float | None = Field(0.3, description="FineWeb")
    max_policy: int | None = Field(0, description="phrases such as privacy policy; C4 drops their line")
    max_lorem_ipsum: int | None = Field(0, description="C4")
