"""Root verbs and direct objects: what the rules find, and sentences in which they must find nothing."""

import time

import pytest

from transforms.evaluation.root_verbs import request_of


@pytest.mark.parametrize(
    ("instruction", "verb", "found"),
    [
        ("Write a short story about a dog.", "write", "story"),
        ("Please write me a short, funny and simple poem.", "write", "poem"),
        ("List common uses for vinegar", "list", "use"),
        ("Could you please list the top 20 films of 1930?", "list", "film"),
        ("How do I install the printer driver on Linux?", "install", "driver"),
        ("how to use math.isclose()?", "use", "math.isclose"),
        ("I want you to act as a proof reader.", "act", None),
        ("Give the teacher three good reasons to smile.", "give", "reason"),
        ("Compare and contrast the two processes used to make steel.", "compare", "process"),
        ("Using the table, compare the careers of both players.", "compare", "career"),
        ("Come up with a metaphor.", "come", None),
        ("Explain how a bill becomes a law.", "explain", None),
        ("Suppose the universe is infinite.", "suppose", None),
        ("Make it better.", "make", None),
        ("Rewrite the following:", "rewrite", None),
        ("Design a template for invoices.", "design", "template"),
        ("The sentence below is too long. Shorten the sentence.", "shorten", "sentence"),
        ("2 / 2Create 10 marketing slogans", "create", "slogan"),
        ("Can you help me write an email?", "write", "email"),
        ("You will need to provide several examples.", "provide", "example"),
        ("Write a letter to Ann\N{RIGHT SINGLE QUOTATION MARK}s mother", "write", "letter"),
    ],
)
def test_requests_have_a_root_verb(instruction: str, verb: str, found: str | None) -> None:
    assert request_of(instruction) == (verb, found)


@pytest.mark.parametrize(
    "instruction",
    [
        "",
        "   \n ...",
        "What is the capital of France?",
        "Water cycle explanation",
        "Best restaurants in Paris",
        "Short story about a dog",
        "I am an aikido teacher.",
        "Why is the sky blue?",
        "Wie installiere ich den Treiber?",
        "One. Two. Three. Write a story.",
    ],
)
def test_other_sentences_have_none(instruction: str) -> None:
    assert request_of(instruction) is None


@pytest.mark.parametrize(
    "part", ["if, ", "ly", "please ", "and ", "a ", "'", "write a ", "\N{HANGUL SYLLABLE GA}", "if,x"]
)
def test_hostile_texts_take_no_time(part: str) -> None:
    request_of("Write a text.")  # reads the lexicon
    start = time.perf_counter()
    request_of(part * 100_000)
    assert time.perf_counter() - start < 1
