"""The language of many texts at once: what py3langid says of each."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from transforms.pages.language import TEXTS, identify_languages

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
def test_each_text_is_judged_as_if_it_came_alone(py3langid: LanguageIdentifier, some: list[str]) -> None:
    for text, (code, probability) in zip(some, identify_languages(some), strict=True):
        ranking = dict(py3langid.rank(text))
        assert probability == pytest.approx(ranking[code], abs=1e-3)
        assert probability == pytest.approx(max(ranking.values()), abs=1e-3)


def test_more_texts_than_are_walked_at_once_keep_their_order() -> None:
    some = [SENTENCES[n % 5] * (1 + n % 3) for n in range(TEXTS + 7)]
    assert [code for code, _ in identify_languages(some)] == [
        ["en", "de", "fr", "ru", "zh"][n % 5] for n in range(len(some))
    ]
