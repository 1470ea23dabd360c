"""Words and runs of words by Arrow and numpy, beside a regular expression and a plain loop."""

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.dedup.shingles import ngrams, words


def words_of(*texts: str) -> list[list[str]]:
    found: list[list[str]] = words(pa.array(texts, pa.string())).to_pylist()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  old\tKettle, (half-full)!", ["the", "old", "kettle", "half", "full"]),
        ("snake_case 3.11 x=1", ["snake", "case", "3", "11", "x", "1"]),
        ("Ça va — “Straße” ", ["ça", "va", "straße"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),  # vowel signs are marks
        ("\x00a\x00", ["a"]),
        ("—…", [""]),
        ("", [""]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words_of(text) == [expected]


@given(st.lists(st.text(st.characters(codec="ascii")), max_size=5))
def test_words_of_ascii_are_those_of_a_regular_expression(texts: list[str]) -> None:
    assert words_of(*texts) == [re.findall(r"[^\W_]+", text.lower()) or [""] for text in texts]


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=9), max_size=6), st.integers(1, 6))
def test_equal_word_runs_have_equal_hashes(texts: list[list[str]], n: int) -> None:
    found = ngrams(words(pa.array([" ".join(text) for text in texts], pa.string())), n).to_pylist()
    runs = [[tuple(t[i : i + n]) for i in range(max(len(t) - n + 1, 1))] for t in texts]
    assert [len(r) for r in found] == [len(r) for r in runs]
    hashes = {(run, h) for r, f in zip(runs, found, strict=True) for run, h in zip(r, f, strict=True)}
    assert len(hashes) == len({run for run, _ in hashes}) == len({h for _, h in hashes})


def test_known_value() -> None:
    """Signatures are kept for years: a change of the hash must come with a new METHOD_VERSION."""
    assert ngrams(words(pa.array(["x y z w q r s"])), 5).to_pylist() == [
        [-2681188963089929458, -2450973489989062565, 4366506879951665651]
    ]
