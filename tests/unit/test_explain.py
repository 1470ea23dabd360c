"""The story of a page, without a JVM, from a lake whose rows are known."""

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

from jobs.cli.explain import explain
from jobs.current.notes import last_noted
from jobs.errors import JobError
from jobs.lake import translated
from jobs.lake.conform import arrow_of
from jobs.lake.view import LakeView
from schemas.gold import CURATED
from schemas.silver import REWRITES
from tests.documented import query_with
from tests.jobs.synthetic_lake import NOW, key, url
from tests.planted import plant

Explain = Callable[[str], str]


@pytest.fixture(scope="module")
def view(finished_root: str) -> Iterator[LakeView]:
    with LakeView(finished_root) as view:
        yield view


@pytest.fixture(scope="module")
def explained(view: LakeView) -> Explain:
    """Return `explain` with a cache."""
    return cache(lambda subject: explain(view, subject))


def test_a_page_is_explained_piece_by_piece_down_to_its_releases(explained: Explain) -> None:
    story = explained(url(2))
    lines = story.splitlines()
    assert lines[0] == f"page {url(2)}"
    assert lines[1].startswith(f"  document {key('document', 2)[:12]} crawled 2026-01-02 03:00:00 (utf-8), from crawl")
    pieces = [line for line in lines if line.startswith("  piece ")]
    assert [line.split()[1] for line in pieces] == [str(n) for n in range(6)]
    assert any(line.endswith(": dropped, too_short") for line in pieces)
    assert "in the pool of demo" in story
    assert "likelihood_gain by forward-0-bbbbbb: " in story


def test_a_curated_candidate_is_shown_with_its_release(view: LakeView, explained: Explain) -> None:
    curated = view.rows("SELECT * FROM gold.curated WHERE iteration = 2")[0]
    story = explained(curated["pair_id"])
    assert f"curated for demo, iteration 2: likelihood_gain {curated['score']:.3f} >= 0.090" in story
    assert "      released in gold.curated VERSION AS OF 1 where experiment = 'demo' AND iteration = 2" in story
    assert "      released in gold.training_examples VERSION AS OF 1 where dataset = 'demo/forward-2'" in story


def test_a_release_is_shown_even_if_the_table_has_changed(
    tmp_path: Path, finished_root: str, explained: Explain
) -> None:
    shutil.copytree(finished_root, tmp_path / "lake")
    place = tmp_path / "lake" / CURATED.path
    pair_id = DeltaTable(str(place), version=0).to_pyarrow_table()["pair_id"][0].as_py()
    write_deltalake(str(place), arrow_of(CURATED, []), mode="overwrite")
    with LakeView(str(tmp_path / "lake")) as view:
        story = explain(view, pair_id)
    assert (
        "      in no curated set now\n      released in gold.curated VERSION AS OF 0 where experiment = 'demo' AND iteration = 1"
        in story
    )


def test_a_rewritten_candidate_is_shown_with_what_its_piece_does_not_support(
    tmp_path: Path, finished_root: str
) -> None:
    shutil.copytree(finished_root, tmp_path / "lake")
    with LakeView(finished_root) as view:
        pair = view.rows("SELECT * FROM gold.curated WHERE iteration = 2 ORDER BY pair_id")[0]
    supports = [
        {"sentence": text, "start": 0, "end": 9, "source_start": 0, "source_end": 9, "score": 0.9, "missing": lacks,
         "is_supported": is_supported}
        for text, lacks, is_supported in (("Here is how.", [], None), ("It is.", [], True), ("In 1850.", ["1850"], False))
    ]  # fmt: skip
    plant(str(tmp_path / "lake"), REWRITES, [
        {"rewrite_id": f"{n}" * 64, "method_digest": "w1", "parent_id": pair["pair_id"], "segment_id": pair["segment_id"],
         "instruction": "i", "response": "r", "model_id": "gpt-1", "request_id": "q", "unsupported_share": 0.5,
         "supports": supports, "drop_reason": reason} for n, reason in enumerate((None, "ungrounded"))
    ])  # fmt: skip
    with LakeView(str(tmp_path / "lake")) as view:
        story = explain(view, pair["pair_id"])
    lines = """
      rewrite 000000000000 by gpt-1: kept
        1 of its 2 sentences have no support in the piece:
          "In 1850." (the piece lacks 1850)
        in no curated set now
      rewrite 111111111111 by gpt-1: dropped, ungrounded
        1 of its 2 sentences have no support in the piece:
"""
    assert lines in story


def test_replaced_personal_data_and_overlaps_are_shown(view: LakeView, explained: Explain) -> None:
    [overlap] = view.rows("SELECT * FROM silver.overlaps")
    story = explained(overlap["segment_id"])
    assert f'    left out of demo: shares "{overlap["phrase"]}" with 7 of eval/koala.jsonl' in story
    mailed = view.rows("SELECT * FROM silver.segments WHERE cardinality(replaced) > 0")[0]
    assert ": kept\n    replaced email 2\n" in explained(mailed["segment_id"])


def test_the_documented_query_finds_the_overlapping_prompt(view: LakeView) -> None:
    answer = translated.answer(view, query_with("silver.overlaps"))
    [row] = [dict(zip(answer.columns, values, strict=True)) for values in answer.values]
    page = int(row["url"].split("/")[-1][:-5])
    assert (row["known_set"], row["known_id"], row["url"]) == ("eval/koala.jsonl", "7", url(page))


def test_an_older_version_of_a_page_names_the_newer(explained: Explain) -> None:
    story = explained(key("document", "later"))
    old, new = [line for line in story.splitlines() if line.startswith("  document ")]
    assert old.startswith(f"  document {key('document', 0)[:12]} crawled 2026-01-02")
    assert old.endswith(f"; superseded by {key('document', 'later')[:12]}")
    assert "superseded" not in new
    assert story.endswith("  no pieces: not segmented yet")
    assert explained(url(0)) == story


def test_scores_of_several_methods_are_distinguished(view: LakeView, explained: Explain) -> None:
    twice = view.rows("SELECT * FROM silver.scores WHERE method_digest = 'likelihood_gain-0'")[0]
    story = explained(twice["pair_id"])
    assert "likelihood_gain by forward-0-bbbbbb, method likelihood_gain-0 (not the current method): 9.000" in story
    assert "likelihood_gain by forward-0-bbbbbb, method likelihood_gain-1: " in story
    assert "expected by forward-0-bbbbbb: " in story


def test_every_id_of_a_page_gives_the_same_text(explained: Explain) -> None:
    segment = key("segment", 2, 1)
    story = explained(url(2))
    assert explained(key("document", 2)) == story
    assert explained(segment[:10]) == story
    candidate = next(line.split()[1] for line in story.splitlines() if line.startswith("    candidate "))
    assert explained(candidate) == story


def test_duplicates_name_their_keeper_and_the_keeper_its_duplicates(explained: Explain) -> None:
    keeper = explained(url(0))
    [kept] = [line for line in keeper.splitlines() if line.startswith("    kept instead of")]
    repeat = kept.split(": ")[1].split(", ")[0]
    story = explained(repeat)
    assert "near duplicate (Jaccard 0.91) of " in story
    assert f"on {url(0)}, which is kept instead" in story


def test_a_quarantined_page_is_found_by_its_payload(explained: Explain) -> None:
    story = explained("https://docs.example.org/broken.html")
    assert story == "quarantined from bronze.documents: truncated_record (120 of 4,096 bytes)"


@pytest.mark.parametrize(
    ("subject", "advice"),
    [
        ("https://example.org/nowhere", "; an id may be shortened to its first 8 characters or more"),
        ("https://docs.example.org/disk/0.htm", "; did you mean https://docs.example.org/disk/0.html?"),
        ("f" * 64, "; an id may be shortened to its first 8 characters or more"),
        (key("segment", 2, 1)[:7], "; an id may be shortened to its first 8 characters or more"),
    ],
)
def test_an_unknown_name_error_says_which_names_are_accepted(view: LakeView, subject: str, advice: str) -> None:
    with pytest.raises(JobError) as unknown:
        explain(view, subject)
    what = f"{subject}: no URL, document, segment or candidate with this address or id in {view.root}"
    assert str(unknown.value) == what + advice


def test_the_methods_of_the_last_run_count() -> None:
    runs = [
        {"experiment": experiment, "started_at": NOW + timedelta(hours=hour), "methods": methods}
        for hour, experiment, methods in (
            (2, "a", {"x": "2", "y": "2"}), (1, "a", {"x": "1", "z": "1"}), (3, "b", {"x": "b"}), (4, "a", None),
            (2, "a", {"x": "3"}),
        )
    ]  # fmt: skip
    assert last_noted(runs) == {("a", "x"): "3", ("a", "y"): "2", ("a", "z"): "1", ("b", "x"): "b"}
