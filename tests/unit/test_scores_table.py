"""The rule that a score is on its scale, as DuckDB reads it: whatever scorers there are, it names none of them."""

import duckdb
import pytest

from schemas.silver import KNOWN_SCORES, SCORES
from transforms.scoring.scorers import SCORERS


@pytest.mark.parametrize(
    ("score", "low", "high", "holds"),
    [
        (5.0, 1.0, 5.0, True),
        (1.0, 1.0, 5.0, True),
        (5.5, 1.0, 5.0, False),
        (0.0, 1.0, 5.0, False),
        (97.0, 0.0, 100.0, True),
        (-0.5, None, 0.0, True),
        (0.5, None, 0.0, False),
        (3.0, 0.0, None, True),
        (-1e9, None, None, True),
        (None, 1.0, 5.0, True),
        (None, None, None, True),
    ],
)
def test_a_score_is_between_the_ends_that_its_scale_has(
    score: float | None, low: float | None, high: float | None, holds: bool
) -> None:
    row = "SELECT ?::DOUBLE AS score, ?::DOUBLE AS scale_low, ?::DOUBLE AS scale_high"
    found = duckdb.execute(f"SELECT {SCORES.constraints['on_scale']} FROM ({row})", [score, low, high]).fetchone()
    assert found == (holds,)


def test_no_rule_names_a_scorer() -> None:
    rules = " ".join([*SCORES.rules.values(), *KNOWN_SCORES.rules.values()])
    assert not [name for name in SCORERS if f"'{name}'" in rules]
