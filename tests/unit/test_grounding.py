"""The grounding ledger: which sentences of a rewritten response the segment supports, and where."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.planted_inventions import FAITHFUL, INVENTED, flagged, planted, rate
from transforms.rewriting.facts import KnownFacts, facts
from transforms.rewriting.grounding import Support, grounding, unsupported_share
from transforms.rewriting.sentences import sentences

BRIDGE = """# Clifton Suspension Bridge

The bridge was designed by Isambard Kingdom Brunel in 1831, and opened on 8 December 1864. It spans 214 metres across \
the Avon Gorge near Bristol. About 12,000 vehicles cross it each day, and a toll pays for its upkeep. Brunel died \
before the bridge was finished. See https://www.example.org/bridge for photographs.

```
open --year 1864
```"""


def verdicts(response: str, segment: str = BRIDGE) -> list[bool | None]:
    return [support.is_supported for support in grounding(segment, response)]


def only(response: str, segment: str = BRIDGE) -> Support:
    [support] = grounding(segment, response)
    return support


@pytest.mark.parametrize(
    "response",
    [
        "About 12,000 vehicles cross it each day, and a toll pays for its upkeep.",
        "Each day about 12,000 vehicles cross it.",  # reordered
        "A toll pays for its upkeep.",  # shortened
        "It spans 214 metres across the Avon Gorge, and Brunel died before it was finished.",  # merged
        "- Opened: 8 December 1864",  # a list from prose
        "It was designed by Brunel, who had died before it was finished.",  # a pronoun for a name
        "About 12,000 vehicles are crossing it daily, and tolls pay for its upkeep.",  # inflected
        "Isambard Kingdom Brunel designed the bridge.",
        "The suspention bridge was desined by Brunel.",  # spelt in another way
        "Brunel's bridge spans the Avon Gorge.",
        "Roughly 12 000 vehicles cross the bridge every day.",
        "It opened on December 8th, 1864.",
        "It opened in December 1864.",
        "It opened on 1864-12-08.",
        "It opened on 8/12/1864.",
        "Photographs are at example.org/bridge.",
        "Photographs are at http://example.org.",
    ],
)
def test_an_edited_sentence_is_supported(response: str) -> None:
    support = only(response)
    assert (support.is_supported, support.missing) == (True, ())


@pytest.mark.parametrize(
    ("response", "missing"),
    [
        ("It spans 241 metres across the Avon Gorge.", ("241",)),
        ("About 12,500 vehicles cross it each day.", ("12,500",)),
        ("About twelve million vehicles cross it each day.", ("twelve million",)),
        ("About 12 million vehicles cross it each day.", ("12 million",)),
        ("The bridge opened on 9 December 1864.", ("9 December 1864",)),
        ("The bridge opened on 8 November 1864.", ("8 November 1864",)),
        ("The bridge opened on December 8, 1865.", ("December 8, 1865",)),
        ("The bridge opened on 1864-12-18.", ("1864-12-18",)),
        ("The bridge was designed by Thomas Telford in 1831.", ("Thomas", "Telford")),
        ("Telford died before the bridge was finished.", ("Telford",)),  # it stands where the text has a name
        ("Telford's bridge spans the Avon Gorge.", ("Telford's",)),
        ("NASA designed the bridge in 1831.", ("NASA",)),
        ("The bridge was designed on an iPhone.", ("iPhone",)),
        ("See https://www.example.org/tolls for photographs.", ("https://www.example.org/tolls",)),
        ("Write to bridge@example.com about the toll.", ("bridge@example.com",)),
        ("`open --year 1864 --month 7`", ("7",)),
    ],
)
def test_a_fact_that_the_segment_lacks_is_unsupported_whatever_the_rest_says(
    response: str, missing: tuple[str, ...]
) -> None:
    support = only(response)
    assert (support.is_supported, support.missing) == (False, missing)


@pytest.mark.parametrize(
    "response",
    [
        "The towers are made of red sandstone.",
        "At night thousands of lamps light the structure.",
        "Pedestrians need no ticket.",
        "Die Brücke wurde von Brunel entworfen und überspannt die Schlucht.",  # translated
        "Elle enjambe les gorges et un péage finance son entretien.",
        "```\nrm -rf towers\n```",
        "| tower | sandstone |",
    ],
)
def test_an_invented_or_translated_sentence_is_unsupported(response: str) -> None:
    assert verdicts(response) == [False]


def test_a_name_is_known_for_the_whole_response() -> None:
    assert verdicts("Telford, it is said, died before the bridge was finished.") == [True]  # may be any word
    assert verdicts("Telford, it is said, died before the bridge was finished. A toll pays Telford.")[0] is False


@pytest.mark.parametrize(
    "response",
    [
        "Sure!",
        "I hope this helps!",
        "Let me know if you have any questions about it.",
        "Here is how to proceed in the kitchen:",
        "Follow these steps:",
        "## Structure And Materials",
        "**Structure and materials**",
        "|---|---|",
        "```\n}\n```",
        "That is it.",
    ],
)
def test_a_sentence_without_a_claim_counts_as_neither(response: str) -> None:
    assert verdicts(response) == [None]


def test_a_fact_makes_a_claim_of_any_sentence() -> None:
    assert verdicts("## Structure in 1999\n\nHere is how, says https://example.com:") == [False, False]
    assert verdicts("## Structure in 1831") == [None]


def test_a_bold_sentence_is_a_claim_and_a_step_number_is_none() -> None:
    assert verdicts("**The towers are made of red sandstone.**") == [False]
    assert verdicts("Step 7: a toll pays for its upkeep.") == [True]


def test_a_label_is_no_part_of_the_claim() -> None:
    assert verdicts("- **Financing matters:** a toll pays for upkeep.\n- **Upkeep**: a toll pays for it.") == [
        True,
        True,
    ]
    assert only("**Financing matters now:** a toll pays.").score == 1
    assert verdicts("**Upkeep:** since 1999, a toll pays for it.\n**Upkeep and toll:** elves do it.") == [False, False]


def test_places_are_of_the_response_and_the_segment() -> None:
    response = "Sure!\n\n1. A toll pays for upkeep.\n2. Brunel died early. It is green.\n```\nopen --year 1864\n```"
    supports = grounding(BRIDGE, response)
    assert [response[s.start : s.end] for s in supports] == [s.sentence for s in supports]
    assert [s.sentence for s in supports] == [
        "Sure!",
        "A toll pays for upkeep.",
        "Brunel died early.",
        "It is green.",
        "open --year 1864",
    ]
    sources = [s.source_start is not None and BRIDGE[s.source_start : s.source_end] for s in supports]
    assert sources == [
        False,
        "About 12,000 vehicles cross it each day, and a toll pays for its upkeep.",
        "Brunel died before the bridge was finished.",
        False,
        "open --year 1864",
    ]


def test_words_far_apart_do_not_support_a_sentence() -> None:
    filler = [f"{'abcdefghijklmnop'[n] * 6} " * 45 for n in range(12)]
    scattered = ". ".join(
        f"{word} {gap}"
        for word, gap in zip(["tea", "kettle", "boils", "stove", "water", "leaves"], filler, strict=False)
    )
    assert only("Kettle tea boils leaves stove water.", scattered).is_supported is False
    assert only("Kettle tea boils leaves stove water.", "Tea: the kettle boils. Water, stove, leaves.").is_supported


def test_a_merged_sentence_draws_on_two_places() -> None:
    gap = " ".join(f"{'abcdefghijklmnop'[n] * 6}." for n in range(16)) * 4
    segment = f"The kettle stands on the iron stove. {gap} Green leaves float in hot water."
    support = only("The kettle stands on the iron stove, and green leaves float in hot water.", segment)
    assert (support.score, support.is_supported) == (1.0, True)
    assert (support.source_start, support.source_end) in {(0, 36), (len(segment) - 32, len(segment))}


def test_chinese_text_is_compared_by_pairs_of_characters() -> None:
    segment = "水壶放在炉子上。里面的水开了。"
    assert verdicts("里面的水开了。水壶放在炉子上。", segment) == [True, True]
    assert verdicts("茶叶要泡四分钟。", segment) == [False]


def test_share_of_unsupported_sentences() -> None:
    supports = grounding(BRIDGE, "Sure!\n- A toll pays for its upkeep.\n- It spans 214 metres.\n- It spans 7 metres.")
    assert unsupported_share(supports) == pytest.approx(1 / 3)
    assert unsupported_share(grounding(BRIDGE, "Sure!")) == 0
    assert unsupported_share([]) == 0


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        ("1,000 m", "1000 m"),
        ("1 000 m", "1000m"),
        ("1\u202f000 m", "1,000 m"),
        ("1.000 Euro", "1000 Euro"),
        ("three", "3"),
        ("3 cups", "three cups"),
        ("twenty-five", "25"),
        ("125", "one hundred and twenty-five"),
        ("5 million", "5,000,000"),
        ("2.5 million", "2500000"),
        ("2.50", "2.5"),
        ("2,5", "2.5"),
        ("a dozen", "12"),
        ("half of it", "50 %"),
        ("the 1990s", "1990"),
        ("the 3rd", "3"),
        ("version 1.2.3", "1.2.3"),
        ("10:30", "10:30"),
        ("a cup", "1 cup"),
        ("14 March 2020", "March 2020"),
        ("14 March, in the year 2020", "14 March 2020"),
        ("14.03.2020", "14 March 2020"),
        ("March 14, 2020", "14/3/20"),
        ("B12", "vitamin B12"),
        ("https://www.Example.com/a/", "example.com/a"),
    ],
)
def test_the_same_fact_in_another_form(source: str, claim: str) -> None:
    assert KnownFacts(source).lacking(facts(claim)) == []


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        ("5 billion", "5 million"),
        ("5 million", "5 billion"),
        ("1.5", "15"),
        ("10,500", "10.5"),
        ("version 1.2.3", "version 1.2.4"),
        ("14 March 2020 and 15 April 2021", "14 April 2020"),
        ("March 2020", "14 March 2020"),
        ("14 March", "14 March 2020"),
        ("https://example.com/a", "https://example.com/b"),
        ("https://example.com/a", "https://example.org/a"),
        ("two", "two hundred"),
    ],
)
def test_another_fact(source: str, claim: str) -> None:
    assert len(KnownFacts(source).lacking(facts(claim))) == 1


def test_sentences_keep_abbreviations_and_split_lines() -> None:
    text = "# Head\n# \n- \n\nDr. Smith, e.g. J. Smith, left. He came!\n- one\n2) two\n> three\n| a | b |\n**Label**\n"
    assert [(s.text, s.kind) for s in sentences(text)] == [
        ("Head", "header"),
        ("Dr. Smith, e.g. J. Smith, left.", "prose"),
        ("He came!", "prose"),
        ("one", "prose"),
        ("two", "prose"),
        ("three", "prose"),
        ("| a | b |", "row"),
        ("**Label**", "header"),
    ]


SAMPLES = """The kettle boils. ~A toll pays ~Brunel ~8 December 1864 ~12,000 ~two hundred ~\n~\n- ~# ~```\n~**~| ~:~\
https://a.b/c ~水壶~\u0130~'~e.g. ~Step 2"""
PIECES = st.sampled_from(SAMPLES.split("~"))
TEXT = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=30).map("".join))


@settings(deadline=None)
@given(TEXT, TEXT)
def test_any_texts_have_sound_places_and_scores(segment: str, response: str) -> None:
    supports = grounding(segment, response)
    at = 0
    for support in supports:
        assert at <= support.start < support.end <= len(response)
        assert response[support.start : support.end] == support.sentence
        at = support.end
        assert 0 <= support.score <= 1
        assert all(fact in support.sentence for fact in support.missing if " " not in fact)
        if support.source_start is not None and support.source_end is not None:
            assert 0 <= support.source_start < support.source_end <= len(segment)
    assert 0 <= unsupported_share(supports) <= 1


@settings(deadline=None)
@given(TEXT)
def test_a_text_supports_itself(text: str) -> None:
    assert [support for support in grounding(text, text) if support.missing] == []


def test_planted_inventions_are_found_and_faithful_edits_pass() -> None:
    counts = flagged(planted(200), grounding)
    assert min(n for _, n in counts.values()) >= 20
    assert rate(counts, INVENTED) >= 0.95
    assert rate(counts, FAITHFUL) <= 0.05
    for kind in INVENTED:
        assert rate(counts, [kind]) >= 0.95, kind
    for kind in FAITHFUL:
        assert rate(counts, [kind]) <= 0.05, kind


@pytest.mark.parametrize(
    "part",
    ["a", "1 ", "two hundred and ", "12 March ", "**", "```\n", "> ", " ", "a-", "Ab cd. ", "1/1/1 ", "水", "a'"],
)
def test_hostile_text_takes_linear_time(part: str) -> None:
    text = part * (100_000 // len(part))
    began = time.process_time()
    grounding("The kettle boils.", text)
    grounding(text, text)
    assert time.process_time() - began < 15
