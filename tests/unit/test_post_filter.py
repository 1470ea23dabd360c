"""REInstruct's filter of rewritten pairs: each reason has the pair that gives it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.rewriting.post_filter import POST_FILTER_REASONS, post_filtered

ASK, ANSWER = "How do I make tea?", "Boil water and pour it over the leaves."


@pytest.mark.parametrize(
    ("instruction", "response", "reason"),
    [
        (ASK, ANSWER, None),
        ("a" * 500, ANSWER, None),
        ("a" * 501, ANSWER, "long_instruction"),
        (ASK, "- a\n" * 10, None),
        (ASK, "- a\n" * 11, "many_dashes"),
        (ASK, "tea - hot " * 11, "many_dashes"),
        (ASK, "-a\n" * 11, None),
        ("What does this say?", ANSWER, "says_this"),
        ("THIS: what is it?", ANSWER, "says_this"),
        ("How do I grow a thistle?", ANSWER, None),  # the authors' script drops it
        ("Who was Matthis?", ANSWER, None),
        (ASK, "The Web Text says: boil water.", "mentions_source"),
        (ASK, "Based on the information provided, boil water.", "mentions_source"),
        (ASK, "Sorry, there is no tea.", "refusal"),
        (ASK, "I apologize: there is no tea.", "refusal"),
        ("What is this?", "- " * 11 + "sorry, web text", "many_dashes"),
    ],
)
def test_reasons(instruction: str, response: str, reason: str | None) -> None:
    assert post_filtered(instruction, response) == reason


def test_refusals_are_an_option() -> None:
    assert post_filtered(ASK, "Sorry, there is no tea.", refusals=False) is None


@given(st.text(), st.text())
def test_any_pair_passes_or_has_a_known_reason(instruction: str, response: str) -> None:
    assert post_filtered(instruction, response) in {None, *POST_FILTER_REASONS}
