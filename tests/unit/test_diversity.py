"""The diversity of instructions: against closed forms and plain loops, and as a command on a made lake."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.gold import CURATED
from schemas.ops import RUNS
from tests.conftest import Command
from tests.jobs.synthetic_lake import HOSTILE
from tests.planted import plant
from transforms.evaluation.diversity import BLOCK, N_OBJECTS, N_VERBS, Verb, distinct, nearest, nearest_within, verbs
from transforms.evaluation.root_verbs import Request

TEXTS = st.lists(st.text(alphabet="ab .!", max_size=12), max_size=8)


def test_distinct_n_is_the_share_of_distinct_n_grams() -> None:
    [(full, equal)] = distinct([["The cat sat.", "the CAT ran!"]], 1)
    assert full == equal == 4 / 6
    assert distinct([["the cat sat", "the cat ran"]], 2) == [(3 / 4, 3 / 4)]
    assert distinct([["one two"], ["one"]], 3) == [(None, None)] * 2, "no text has three words"
    assert distinct([["", " ... "], []], 1) == [(None, None)] * 2


def test_equal_size_takes_as_many_n_grams_as_the_smallest_set_has_whatever_the_order() -> None:
    many = [f"word{n % 7} text" for n in range(50)]
    few = ["alpha beta", "gamma delta"]
    [(full, equal), smallest] = distinct([many, few], 1)
    assert smallest == (1.0, 1.0)
    assert full == 8 / 100
    assert equal is not None
    assert equal * 4 == round(equal * 4)
    assert distinct([many[::-1], few], 1) == distinct([many, few], 1)
    assert distinct([many, few, []], 1)[0] == (full, equal), "an empty set is not the smallest"


def tokens(text: str) -> set[str]:
    return set(re.findall("[ab]+", text))


def jaccard(one: str, other: str) -> float:
    a, b = tokens(one), tokens(other)
    return len(a & b) / len(a | b) if a & b else 0.0


@given(TEXTS, TEXTS)
def test_nearest_is_the_highest_jaccard_similarity_of_the_words(texts: list[str], others: list[str]) -> None:
    expected = [max((jaccard(text, other) for other in others), default=0.0) for text in texts]
    assert nearest(texts, others) == pytest.approx(np.array(expected), abs=1e-6)
    within = [max((jaccard(t, o) for k, o in enumerate(texts) if k != n), default=0.0) for n, t in enumerate(texts)]
    assert nearest_within(texts) == pytest.approx(np.array(within), abs=1e-6)


def test_texts_past_the_first_block_are_compared_too() -> None:
    texts = [f"a{n} b{n}" for n in range(BLOCK + 3)]
    assert nearest(texts, texts[:1] + texts[-1:]).nonzero()[0].tolist() == [0, BLOCK + 2]
    assert nearest_within([*texts, texts[-1]])[-3:].tolist() == [0.0, 1.0, 1.0]


def test_verbs_are_counted_with_their_objects_in_a_fixed_order() -> None:
    counts = Counter({Request("write", "story"): 3, Request("write", "poem"): 3, Request("list", "use"): 7})
    counts |= Counter({Request("act", None): 99}) | Counter({Request("write", f"x{n}"): 1 for n in range(9)})
    assert verbs(counts) == [
        Verb("write", 15, (("poem", 3), ("story", 3), ("x0", 1), ("x1", 1))),
        Verb("list", 7, (("use", 7),)),
    ]
    assert len(verbs(Counter({Request(f"v{n}", "o"): 1 for n in range(30)}))) == N_VERBS
    assert N_OBJECTS == 4


def test_the_seed_stands_beside_each_curated_set(look: Command, finished_root: str) -> None:
    said = look("diversity", "--json", "--lake", finished_root)
    seed, first, second = map(json.loads, said.out.splitlines())
    assert [one["set"] for one in (seed, first, second)] == ["seed", "curated, iteration 1", "curated, iteration 2"]
    assert (seed["n"], seed["n_read"], seed["n_requests"]) == (60, 60, 60)
    [verb] = seed["verbs"]
    assert (verb["verb"], verb["instructions"]) == ("list", 60), "How do I list every disk?"
    assert verb["objects"]["disk"] == 8
    assert seed["nearest"] == {"low": 1.0, "median": 1.0, "high": 1.0}, "each seed instruction repeats another"
    assert (first["n"], second["n"]) == (17, 13)
    assert 0 < first["nearest"]["median"] < 0.3
    assert second["distinct"] == second["distinct_equal"], "it is the smallest set"
    assert first["distinct"]["1"] != first["distinct_equal"]["1"]
    only = look("diversity", "--json", "--iteration", "2", "--experiment", "demo", "--lake", finished_root)
    assert [json.loads(line)["set"] for line in only.out.splitlines()] == ["seed", "curated, iteration 2"]


def test_the_text_has_the_figures_and_the_verbs(look: Command, finished_root: str) -> None:
    said = look("diversity", "--lake", finished_root)
    figures, found = said.out.split("\n\n")
    assert re.search(r"^seed +60 +60 +0\.038 .* 25 / 27 / 28 .* 1\.00 / 1\.00 / 1\.00 100 %", figures, re.MULTILINE)
    assert re.search(r"^seed +list +60 disk 8, font 8, kernel 8, package 8$", found, re.MULTILINE)
    assert HOSTILE not in said.out


def test_what_cannot_be_compared_is_told_in_one_sentence(look: Command, finished_root: str, tmp_path: Path) -> None:
    def err(*words: object) -> str:
        said = look("diversity", *words)
        assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
        return said.err

    assert err("--lake", finished_root, "--experiment", "dem").endswith(
        "gold.curated has no rows of experiment dem; did you mean demo?\n"
    )
    assert err("--lake", finished_root, "--experiment", "zzz").endswith("of experiment zzz; it has those of demo\n")
    assert err("--lake", finished_root, "--iteration", "3").endswith("demo of iteration 3; it has iterations 1, 2\n")
    plant(tmp_path, RUNS, [])
    nothing = f"humpback: {tmp_path}: gold.curated has no rows; run `humpback curate`, or the whole loop, first\n"
    assert err("--lake", tmp_path) == nothing
    plant(tmp_path, CURATED, [])
    assert err("--lake", tmp_path, "--experiment", "demo") == nothing
