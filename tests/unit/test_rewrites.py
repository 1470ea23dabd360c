"""Replies of a rewriter: how they are read, and the one reason for which a response is not used."""

import re
import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.prompting.prompts import CLOSING, OPENING, REWRITE
from transforms.rewriting import rewrites
from transforms.rewriting.grounding import grounding
from transforms.rewriting.rewrites import BETWEEN_MARKERS, REASONS, Reply, mentions_source, parsed, rejection, samplings

SEGMENT = """Fill the kettle with cold water and put it on the stove. When the water boils, pour it over the leaves. \
Let the tea steep for four minutes, then take the leaves out. Serve it in warm cups with a slice of lemon."""
INSTRUCTION = "How do I make tea?"
GOOD = """1. Put a kettle of cold water on the stove.
2. Once the water boils, pour it over the leaves.
3. Take out the leaves after the tea has steeped for 4 minutes.
4. Serve the tea in warm cups with a slice of lemon."""


@dataclass(frozen=True)
class Limits:
    language: str | None = "en"
    min_length_share: float = 0.25
    max_length_share: float = 2.0
    max_unsupported: float = 0.25


def marked(text: str) -> str:
    return f"{OPENING}\n{text}\n{CLOSING}"


def reason(response: str, segment: str = SEGMENT, instruction: str = INSTRUCTION) -> str | None:
    return rejection(segment, instruction, response, Limits())


@pytest.mark.parametrize(
    "reply",
    [
        marked(GOOD),
        f"Certainly, here it is.\n\n{marked(GOOD)}\n\nTell me if you want more.",
        f"{OPENING} {GOOD}{CLOSING}",
        f"```\n{marked(GOOD)}\n```",
    ],
)
def test_the_answer_stands_between_the_markers(reply: str) -> None:
    assert parsed(reply) == Reply(GOOD)


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        ("", "empty reply"),
        (" \n\t", "empty reply"),
        (GOOD, "no opening marker"),
        (SEGMENT, "no opening marker"),
        (f"{GOOD}\n{CLOSING}", "no opening marker"),
        (f"{OPENING}\n{GOOD}", "never closed"),
        (marked(GOOD) + marked(GOOD), "two opening markers"),
        (f"{OPENING}\n{marked(GOOD)}", "two opening markers"),
        (f"{marked(GOOD)}\n{CLOSING}", "two closing markers"),
        (f"{CLOSING}\n{GOOD}\n{OPENING}", "closed before opened"),
        (marked(""), "empty answer"),
        (marked(" \n "), "empty answer"),
        (marked(GOOD + "<|im_end|>\n<|im_start|>user"), "chat token"),
        (marked(GOOD) + "<|eot_id|>", "chat token"),
        (marked(f"[INST] {GOOD} [/INST]"), "chat token"),
        (marked(GOOD) + "</s>", "chat token"),
        (marked(f"<start_of_turn>model\n{GOOD}"), "chat token"),
        (marked(GOOD) + "<\uff5cend\u2581of\u2581sentence\uff5c>", "chat token"),
        (marked("<<SYS>> Be kind. <</SYS>>"), "chat token"),
    ],
)
def test_a_reply_that_cannot_be_read_has_a_detail(reply: str, detail: str) -> None:
    assert parsed(reply) == Reply(None, detail)


@pytest.mark.parametrize("text", ["Use <s> and </s> to strike out.", "a <| b |> c", "x[INSTALL]", "the tag <bosun>"])
def test_signs_like_chat_tokens_are_text(text: str) -> None:
    assert parsed(marked(text)) == Reply(text)


@given(st.text())
def test_every_reply_is_an_answer_or_has_a_detail(reply: str) -> None:
    for text in (reply, marked(reply)):
        response, detail = parsed(text)
        assert (response is None) != (detail is None)


@given(st.text(alphabet="ab[] \n", min_size=1))
def test_what_the_constraint_permits_can_be_read(text: str) -> None:
    reply = marked(text)
    if re.fullmatch(BETWEEN_MARKERS, reply):
        assert parsed(reply).response == text.strip()
    else:
        assert text[0].isspace() or "[[" in text or text[-1] == "["


@pytest.mark.parametrize(
    "reply", [GOOD, f"{OPENING}\n{GOOD}", marked(""), marked(" x"), marked(marked(GOOD)), f"a{marked('x')}"]
)
def test_the_constraint_binds(reply: str) -> None:
    assert re.fullmatch(BETWEEN_MARKERS, reply) is None


def test_a_reply_without_markers_is_asked_again_under_the_constraint() -> None:
    free, bound = samplings(0.7, 900)
    assert free == {"temperature": 0.7, "max_tokens": 900}
    assert bound == {**free, "regex": BETWEEN_MARKERS}


def test_the_prompt_names_the_markers_and_ends_with_the_material() -> None:
    before, _, after = REWRITE.text.partition("{response}")
    assert "{instruction}" in before
    assert all(marker in before and marker in after for marker in (OPENING, CLOSING))
    assert "do not follow" in before


ENGLISH_REFUSAL = "I'm sorry, but I can't help with that."
GERMAN = """Füllen Sie den Kessel mit kaltem Wasser und stellen Sie ihn auf den Herd. Wenn das Wasser kocht, gießen Sie es \
über die Blätter. Nach vier Minuten nehmen Sie die Blätter heraus und servieren den Tee in warmen Tassen."""
OF_SOURCE = f"According to the text, this is how:\n\n{GOOD}"
INVENTED = f"{GOOD}\n5. Milk softens bitter tannins.\n6. Merchants brought oolong from Fujian in 1610."


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (GOOD, None),
        (SEGMENT, "unchanged"),
        (SEGMENT.replace(" ", "\n  "), "unchanged"),
        (SEGMENT.replace("lemon.", "lemon!"), "unchanged"),
        (ENGLISH_REFUSAL, "refusal"),
        ("I cannot provide an answer to this. " + GOOD, "refusal"),
        ("As an AI language model, I have no kettle.\n" + GOOD, "refusal"),
        ("Boil water.", "too_short"),
        (GOOD * 10, "too_long"),
        (GERMAN, "language"),
        (OF_SOURCE, "mentions_source"),
        (INVENTED, "ungrounded"),
    ],
)
def test_a_response_has_one_reason(response: str, expected: str | None) -> None:
    assert reason(response) == expected


def test_every_reason_has_its_test() -> None:
    given = {SEGMENT, ENGLISH_REFUSAL, "Boil water.", GOOD * 10, GERMAN, OF_SOURCE, INVENTED}
    assert {reason(response) for response in given} == {*REASONS}


def test_limits_are_inclusive() -> None:
    exact = Limits(min_length_share=len(GOOD) / len(SEGMENT), max_length_share=len(GOOD) / len(SEGMENT))
    assert rejection(SEGMENT, INSTRUCTION, GOOD, exact) is None
    assert rejection(SEGMENT, INSTRUCTION, f"{GOOD} ", exact) == "too_long"
    assert rejection(SEGMENT, INSTRUCTION, GOOD[:-1], exact) == "too_short"
    third = Limits(max_unsupported=2 / 6)
    assert rejection(SEGMENT, INSTRUCTION, INVENTED, third) is None


def test_without_a_language_every_language_passes() -> None:
    assert rejection(SEGMENT, INSTRUCTION, GERMAN, Limits(language=None)) == "ungrounded"
    assert rejection(GERMAN, INSTRUCTION, GERMAN[:-40], Limits(language=None)) is None


def test_code_without_prose_has_no_wrong_language() -> None:
    code = "```\n" + "\n".join(f"kettle_{n} = boil(water_{n}, {n})" for n in range(9)) + "\n```"
    assert rejection(f"{SEGMENT}\n\n{code}", INSTRUCTION, code, Limits()) is None


def test_the_ledger_is_not_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    supports = grounding(SEGMENT, INVENTED)
    monkeypatch.setattr(rewrites, "grounding", None)
    assert rejection(SEGMENT, INSTRUCTION, INVENTED, Limits(), supports) == "ungrounded"


@pytest.mark.parametrize(
    "words",
    [
        "According to the article, tea is old.",
        "Based on the provided text, boil water.",
        "The passage explains how to boil water.",
        "As mentioned in the text, boil water.",
        "Boil water, based on the information provided.",
        "The given information is about tea.",
        "This article is about tea.",
        "In the text, water boils.",
        "The web page has photographs of tea.",
        "The author recommends lemon.",
        "This page is about tea.",
        "The document states that water boils.",
    ],
)
def test_a_trace_of_the_source_is_found_unless_the_segment_speaks_so(words: str) -> None:
    assert mentions_source(SEGMENT, words)
    assert not mentions_source(f"{SEGMENT} {words}", words)


@pytest.mark.parametrize(
    ("source", "response"),
    [
        ("", "Select the text and press Enter."),
        ("", "The document has three parts."),
        ("", "In this context, steep means to soak."),
        ("", "Save a file with the following content:"),
        ("", "Enter the information that you have."),
        ("Open the page.", "Click the link on this page."),
        ("How do I cite an article?", "Name the article and its year."),
    ],
)
def test_other_texts_may_be_mentioned(source: str, response: str) -> None:
    assert not mentions_source(source, response)


def test_a_text_that_quotes_a_refusal_is_none() -> None:
    opening = "\u201cI'm sorry,\u201d said the cook."
    assert reason(f"{opening}\n\n{GOOD}") == "refusal"
    assert reason(f"{opening}\n\n{GOOD}".replace("'", "\u2019"), f"{opening} {SEGMENT}") is None


def test_a_refusal_opens_a_reply() -> None:
    assert rewrites.refuses("", f"{'a ' * 140}I'm sorry.")
    assert not rewrites.refuses("", f"{'a ' * 150}I'm sorry.")


@pytest.mark.parametrize(
    "part", [OPENING, "<|", "the text ", "i am sorry ", "based on the ", " ", "</s> ", "a", "I'm so "]
)
def test_hostile_replies_take_linear_time(part: str) -> None:
    text = part * (100_000 // len(part))
    began = time.process_time()
    parsed(text)
    parsed(marked(text))
    mentions_source(SEGMENT, text)
    rewrites.refuses(SEGMENT, text)
    rewrites.is_same(text, text[::-1])
    assert time.process_time() - began < 5
