"""The rule that a score is on its scale, as DuckDB reads it: whatever scorers there are, it names none of them."""

import math

import duckdb
import pytest

from schemas.gold import CURATED, JUDGEMENTS
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


@pytest.mark.parametrize(
    ("parser", "score", "mass", "holds"),
    [
        ("scores/5", 5.0, 1.0, True),
        ("scores/5", None, None, True),
        ("scores/5", -1e9, None, True),
        ("scores/5", math.nan, None, False),
        ("scores/5", math.inf, None, False),
        ("scores/5", -math.inf, None, False),
        ("scores/5", 5.0, math.nan, False),
        ("scores/5", 5.0, 1.1, False),
        ("scores/10", math.nan, None, False),
        ("scores/4", math.nan, math.nan, True),
    ],
)
def test_a_score_is_a_number(parser: str, score: float | None, mass: float | None, holds: bool) -> None:
    row = "SELECT ? AS parser, ?::DOUBLE AS score, ?::DOUBLE AS label_mass"
    rule = SCORES.constraints["numbers_are_finite"]
    assert duckdb.execute(f"SELECT {rule} FROM ({row})", [parser, score, mass]).fetchone() == (holds,)


@pytest.mark.parametrize(
    ("score", "holds"), [(4.5, True), (5.0, True), (4.4, False), (math.nan, False), (math.inf, False)]
)
def test_what_is_curated_has_a_score(score: float, holds: bool) -> None:
    row = "SELECT ?::DOUBLE AS score, 4.5::DOUBLE AS threshold"
    rule = CURATED.constraints["score_at_threshold"]
    assert duckdb.execute(f"SELECT {rule} FROM ({row})", [score]).fetchone() == (holds,)


@pytest.mark.parametrize(("preference", "holds"), [(1.0, True), (2.0, True), (None, True), (math.nan, False)])
def test_a_preference_is_a_number(preference: float | None, holds: bool) -> None:
    rule = JUDGEMENTS.constraints["preference_range"]
    assert duckdb.execute(f"SELECT {rule} FROM (SELECT ?::DOUBLE AS preference)", [preference]).fetchone() == (holds,)
