"""Language of many texts at once, compared with py3langid on each."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from jobs.recipe.config import ExtractSegments
from transforms.pages.language import TEXTS, identify_languages, identify_prose, prose
from transforms.pages.segments import SegmentRules, judge_texts, page_rows

SENTENCES = [
    "The kettle stands on the stove, and the water in it boils.",
    "Der Kessel steht auf dem Herd, und das Wasser kocht darin.",
    "La bouilloire est sur la cuisinière et l'eau bout.",
    "Чайник стоит на плите, и вода в нём кипит.",
    "水壶放在炉子上",
    "CHAJNIK STOJI NA ŠPORETU, A VODA U NJEMU KLJUČA.",
    "|---|---|\n```\nx = 1\n```",
]
texts = st.one_of(st.text(), st.lists(st.sampled_from(SENTENCES), max_size=30).map(" ".join))


@pytest.fixture(scope="module")
def py3langid() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def test_languages() -> None:
    (english, sure), (german, _) = identify_languages(SENTENCES[:2])
    assert (english, german) == ("en", "de")
    assert 0.9 < sure <= 1


@settings(deadline=None)
@given(st.lists(texts, max_size=12))
def test_batching_does_not_change_the_language(py3langid: LanguageIdentifier, batch: list[str]) -> None:
    for text, (code, probability) in zip(batch, identify_languages(batch), strict=True):
        ranking = dict(py3langid.rank(text))
        assert probability == pytest.approx(ranking[code], abs=1e-3)
        assert probability == pytest.approx(max(ranking.values()), abs=1e-3)


def test_more_texts_than_one_batch_keep_their_order() -> None:
    some = [SENTENCES[n % 5] * (1 + n % 3) for n in range(TEXTS + 7)]
    assert [code for code, _ in identify_languages(some)] == [
        ["en", "de", "fr", "ru", "zh"][n % 5] for n in range(len(some))
    ]


SHA = "d5579c46dfcc7f18207013e65b44e4cb4e2c2298f4ac457ba8f82743f31e930b"
PYTHON = (
    "for name, value in sorted(settings.items()):\n    print(name, value, file=out)  # the first is not to be shown\n"
)
HASHES = "".join(f"    --hash=sha256:{SHA[n:]}{SHA[:n]} \\\n" for n in range(40))


def languages(*texts: str) -> list[str | None]:
    return [code for code, _ in identify_prose(texts)]


@pytest.mark.parametrize("fence", ["```", "`````"])
@pytest.mark.parametrize("code", [PYTHON * 20, HASHES, "```\n" + PYTHON * 20])
def test_prose_decides_however_long_the_code(fence: str, code: str) -> None:
    fence = fence if "```" not in code else "`````"
    found = languages(*(f"{sentence}\n\n{fence}py\n{code}\n{fence}\n\n{sentence}" for sentence in SENTENCES[:5]))
    assert found == ["en", "de", "fr", "ru", "zh"]


def test_code_without_fences_and_in_lines_is_left_out() -> None:
    inline = "Set `der_schluessel_des_kessels` and ``das `Wasser` kocht`` before the kettle stands on the stove."
    assert languages(f"{SENTENCES[0]}\n\n{HASHES}", f"{SENTENCES[1]}\n\n{HASHES}", inline) == ["en", "de", "en"]
    assert prose(inline) == "Set  and  before the kettle stands on the stove."
    assert prose("See https://example.org/a?b and 1.2.3, or user@host: it is_here.") == "See  and  or  it "


def test_a_sentence_without_spaces_keeps_all_but_its_numbers() -> None:
    assert languages("水壶放在炉子上3次,里面的水开了100度") == ["zh"]


@pytest.mark.parametrize(
    "text", ["", f"```\n{PYTHON * 20}```", f"# Makefile\n\n```\n{HASHES}\n```", HASHES, "| 1 | 2 |"]
)
def test_without_prose_there_is_no_language(text: str) -> None:
    assert identify_prose([text]) == [(None, None)]


def test_an_open_fence_runs_to_the_end_and_a_longer_one_closes() -> None:
    assert prose("tea\n```\nx = `y`\n") == "tea\n\n"
    assert prose("tea\n```\nx\n`````\nwater") == "tea\n\n\nwater"
    assert prose("tea\n````\nx\n```\nwater\n````\nkettle") == "tea\n\n\nkettle"
    assert prose("- ```\n  x\n  ```\ntea ```water``` kettle") == "\n\ntea  kettle"


@pytest.mark.parametrize("part", ["`", "` ", "``` ", "```\n", "````\n```\n", "a", "1", "a ", "/", "\n", "`a\n"])
def test_hostile_text_takes_linear_time(part: str) -> None:
    began = time.perf_counter()
    prose(part * (10**6 // len(part)))
    assert time.perf_counter() - began < 8


def page(sentence: str) -> str:
    said = f"<p>{sentence * 3}</p>"
    return f"<h1>Chapter</h1>{said}<pre>{PYTHON * 9}</pre><h1>Lock file</h1>{said}<pre>{HASHES}</pre>"


def test_pieces_are_kept_by_their_prose() -> None:
    rules = SegmentRules(**ExtractSegments(min_chars=20, max_chars=9000).model_dump())
    bare = f"<h1>Makefile</h1><pre>{PYTHON * 9}</pre><h1>Sums</h1><pre>{HASHES}</pre>"
    for html, language in ((page(SENTENCES[0]), "en"), (page(SENTENCES[1]), "de"), (bare, None)):
        content = {"document_id": "d", "url": "http://example.org/", "content": html, "media_type": "text/html"}
        rows = list(page_rows(content, rules, lambda url: False))
        judge_texts(rows, rules, lambda text: 0)
        expected = "language" if language == "de" else None
        assert [(row["language"], row["drop_reason"]) for row in rows] == [(language, expected)] * 2
