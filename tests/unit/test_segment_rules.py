import pytest

from transforms.pages.segment_rules import header_fault, is_end_matter, is_repetitive, sentences


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("How to brew tea", None),
        ("Installing SQLite", None),
        ("Comments in C", None),
        ("The login shell", None),
        ("Creating a Table of Contents", None),
        ("What the search for meaning found in the forums of ancient Rome and elsewhere", None),
        ("", "empty_header"),
        ("HOW TO BREW", "uppercase_header"),
        ("FAQ 2", "uppercase_header"),
        ("Quick Links", "navigation_header"),
        ("Free newsletter", "navigation_header"),
        ("User forum", "navigation_header"),
        ("Advertisement", "navigation_header"),
        ("Leave a reply", "navigation_header"),
        ("Comments (3)", None),
        ("Comments:", "navigation_header"),
        ("See also", "navigation_header"),
        ("Related help topics", "navigation_header"),
        ("Table of Contents", "navigation_header"),
        (f"Newsletter {'x' * 49}", "navigation_header"),  # 60 characters
        (f"Newsletter {'x' * 50}", None),
    ],
)
def test_header_fault(header: str, expected: str | None) -> None:
    assert header_fault(header) == expected


@pytest.mark.parametrize(
    ("header", "link_share", "expected"),
    [
        ("See also", 0.0, True),
        ("References:", 0.0, True),
        ("2 thoughts on tea", 0.0, True),
        ("You may also like", 0.0, True),
        ("Related", 0.0, True),
        ("Related work", 1.0, False),
        ("Tags", 0.0, False),
        ("Tags", 0.5, True),
        ("Tags", 0.49, False),
        ("Comments", 0.1, False),
        ("Subscribe to a calendar", 0.2, False),
        ("Tea", 1.0, False),
    ],
)
def test_is_end_matter(header: str, link_share: float, expected: bool) -> None:
    assert is_end_matter(header, link_share) is expected


ONE = "The kettle stands on the stove and the water in it boils."
TWO = "Pour it over the leaves, wait four minutes, then take them out."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{ONE} {TWO}", False),
        (f"{ONE} {TWO} {ONE}", True),
        (f"{ONE}\n\n{TWO}\n\n{ONE.upper()}", True),
        (f"{ONE} {TWO} {ONE.replace('boils', 'cools')}", True),  # 9 of 11 3-grams
        (f"{ONE} {ONE.replace('the stove', 'a table').replace('it boils', 'this cools')}", False),
        ("See below. " * 9, False),
        ("It boils at noon. " * 2, False),
        ("It boils today at noon. " * 2, True),
        (f"{' and '.join((TWO[:-1], ONE[:-1], TWO))} {ONE} {TWO} {ONE}", True),
        (f"```\n{ONE}\n{ONE}\n```\n{TWO}", False),
        (f"| {ONE} |\n| {ONE} |", False),
        (f"````\n{ONE}\n```\n{ONE}\n```\n{ONE}\n````\n\n{TWO}", False),
        (f"````\n```\n````\n\n{ONE} {ONE}", True),
        (f"- ````\n  ```\n  {ONE}\n  ````\n\n{ONE}", False),
        (f"The sign ``` begins code. {ONE} {ONE}", True),
    ],
)
def test_is_repetitive(text: str, expected: bool) -> None:
    assert is_repetitive(text, 3, 0.7) is expected


@pytest.mark.parametrize(("max_jaccard", "expected"), [(0.49, True), (0.5, False)])
def test_similarity_at_the_limit_is_not_repetitive(max_jaccard: float, expected: bool) -> None:
    text = "One two three four five six. One two three four seven eight."  # 4 of 8 words
    assert is_repetitive(text, 1, max_jaccard) is expected


def test_sentences() -> None:
    assert sentences("## Head\n\nOne. Two?\nthree\n\n```\ncode. code\n```\n\n- four\n| a |") == [
        "One.",
        "Two?",
        "three",
        "- four",
    ]
