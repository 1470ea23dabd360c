"""The story of a page, from a lake whose rows are known."""

from collections.abc import Callable
from functools import cache

import pytest

from jobs.cli.explain import explain
from jobs.errors import JobError
from jobs.lake.catalog import sql
from jobs.lake.tables import Lake
from schemas.gold import CURATED
from schemas.silver import OVERLAPS, SCORES, SEGMENTS
from tests.documented import query_with
from tests.jobs.synthetic_lake import key, url

pytestmark = pytest.mark.spark
Told = Callable[[str], str]


@pytest.fixture(scope="module")
def told(finished_lake: Lake) -> Told:
    """What is told of a name; each is looked up once."""
    return cache(lambda subject: explain(finished_lake, subject))


def test_a_page_is_told_piece_by_piece_down_to_its_releases(told: Told) -> None:
    story = told(url(2))
    lines = story.splitlines()
    assert lines[0] == f"page {url(2)}"
    assert lines[1].startswith(f"  document {key('document', 2)[:12]} crawled 2026-01-02 03:00:00 (utf-8), from crawl")
    pieces = [line for line in lines if line.startswith("  piece ")]
    assert [line.split()[1] for line in pieces] == [str(n) for n in range(6)]
    assert any(line.endswith(": dropped, too_short") for line in pieces)
    assert "in the unlabelled set of demo" in story
    assert "likelihood_gain by forward-0-bbbbbb: " in story


def test_a_curated_candidate_is_told_with_its_release(finished_lake: Lake, told: Told) -> None:
    curated = finished_lake.read(CURATED).where("iteration = 2").first()
    story = told(curated.pair_id)
    assert f"curated for demo, iteration 2: likelihood_gain {curated.score:.3f} >= 0.090" in story
    assert "      released in gold.curated VERSION AS OF 1 where experiment = 'demo' AND iteration = 2" in story
    assert "      released in gold.training_examples VERSION AS OF 1 where dataset = 'demo/forward-2'" in story


def test_replaced_personal_data_and_overlaps_are_told(finished_lake: Lake, told: Told) -> None:
    overlap = finished_lake.read(OVERLAPS).first()
    story = told(overlap.segment_id)
    assert f'    kept out of demo by 7 of eval/koala.jsonl: "{overlap.phrase}"' in story
    mailed = finished_lake.read(SEGMENTS).where("size(replaced) > 0").first()
    assert ": kept\n    replaced email 2\n" in told(mailed.segment_id)


def test_the_documented_query_says_which_prompt_kept_a_segment_out(finished_lake: Lake) -> None:
    [row] = sql(finished_lake, query_with("silver.overlaps")).collect()
    assert (row.known_set, row.known_id, row.url) == ("eval/koala.jsonl", "7", url(int(row.url.split("/")[-1][:-5])))


def test_an_older_version_of_a_page_names_the_newer(told: Told) -> None:
    story = told(key("document", "later"))
    old, new = [line for line in story.splitlines() if line.startswith("  document ")]
    assert old.startswith(f"  document {key('document', 0)[:12]} crawled 2026-01-02")
    assert old.endswith(f"; superseded by {key('document', 'later')[:12]}")
    assert "superseded" not in new
    assert story.endswith("  no pieces: not segmented yet")
    assert told(url(0)) == story


def test_scores_by_several_methods_are_told_apart(finished_lake: Lake, told: Told) -> None:
    twice = finished_lake.read(SCORES).where("method_digest = 'likelihood_gain-0'").first()
    story = told(twice.pair_id)
    assert "likelihood_gain by forward-0-bbbbbb, method likelihood_gain-0 (no longer counts): 9.000" in story
    assert "likelihood_gain by forward-0-bbbbbb, method likelihood_gain-1: " in story
    assert "expected by forward-0-bbbbbb: " in story


def test_every_name_of_a_page_tells_the_same(told: Told) -> None:
    segment = key("segment", 2, 1)
    story = told(url(2))
    assert told(key("document", 2)) == story
    assert told(segment[:10]) == story
    candidate = next(line.split()[1] for line in story.splitlines() if line.startswith("    candidate "))
    assert told(candidate) == story


def test_duplicates_name_their_keeper_and_the_keeper_its_duplicates(told: Told) -> None:
    keeper = told(url(0))
    [kept] = [line for line in keeper.splitlines() if line.startswith("    kept for")]
    repeat = kept.split(": ")[1].split(", ")[0]
    story = told(repeat)
    assert "near duplicate (Jaccard 0.91) of " in story
    assert f"on {url(0)}, which is kept for it" in story


def test_a_quarantined_page_is_found_by_its_payload(told: Told) -> None:
    story = told("https://docs.example.org/broken.html")
    assert story == "quarantined from bronze.documents: truncated_record (120 of 4,096 bytes)"


def test_an_unknown_name_is_an_error_that_says_what_may_be_asked(finished_lake: Lake) -> None:
    with pytest.raises(JobError, match="no URL, document, segment or candidate of this name"):
        explain(finished_lake, "https://example.org/nowhere")
