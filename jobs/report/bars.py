"""The report's bar charts of counts, which the page draws in HTML so that they fit any width."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.report.facts import KEPT, Rule, Stage

LONGEST = 60  # percent of the chart's width


@dataclass(frozen=True)
class Bar:
    """One bar: its name, its length as a share of the longest possible one, its text, and its kind."""

    name: str
    share: float
    text: str
    kind: str
    """`passed`, `kept` or `dropped`, which are three colours."""

    @property
    def width(self) -> str:
        """The length as a CSS width; the longest bar leaves room for its text."""
        return f"{LONGEST * self.share:.2f}%"


def funnel(stages: Sequence[Stage]) -> list[Bar]:
    """Return the count after each stage on a logarithmic scale, since the ends are thousands of times apart."""
    longest = max((math.log1p(stage.n) for stage in stages), default=0.0)
    return [
        Bar(
            stage.name,
            math.log1p(stage.n) / longest,
            f"{stage.n:,}" + (f" · {100 * stage.n / stage.of:.1f} % of {stage.of:,}" if stage.of else ""),
            "kept" if stage.key.startswith("curated-") else "passed",
        )
        for stage in stages
        if longest
    ]


def rules(counts: Sequence[Rule]) -> list[Bar]:
    """Return the number of pieces that each rule dropped, in the order of the rules, then the number kept.

    Rules that dropped none are left out.
    """
    if not counts or not counts[0].n_in:
        return []
    n_pieces, n_kept = counts[0].n_in, counts[-1].n_in - counts[-1].n_dropped
    longest = max(n_kept, *(rule.n_dropped for rule in counts))
    dropped = [
        Bar(
            rule.name.replace("_", " "),
            rule.n_dropped / longest,
            f"{rule.n_dropped:,} · {100 - 100 * rule.n_dropped / rule.n_in:.2f} % of {rule.n_in:,} pass",
            "dropped",
        )
        for rule in counts
        if rule.n_dropped
    ]
    kept = f"{n_kept:,} · {100 * n_kept / n_pieces:.2f} % of {n_pieces:,}"
    return [*dropped, Bar(KEPT, n_kept / longest, kept, "kept")]
