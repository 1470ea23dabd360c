"""Pairs whose truth is known: the ways to spoil a text, and the format of a user's labels."""

import pytest

from transforms.scoring.known_pairs import cluttered, cut, hollowed, labelled, spoilt

TEXT = "one two three four five six seven eight"


def test_each_way_to_spoil_a_text() -> None:
    assert cut(TEXT) == "one two three four"
    assert cut("one\n\ntwo") == "one"
    assert hollowed(TEXT) == "one two seven eight"
    assert [cut("one"), hollowed("one")] == ["one", "one"], "nothing to take away"
    assert cluttered(TEXT).startswith(TEXT + "\n\n")
    assert cluttered(TEXT) == cluttered(TEXT)


def test_a_mismatch_takes_the_next_instruction_of_its_source() -> None:
    pairs = [
        ("faq", "p1", "i1", "r1"),
        ("faq", "p2", "i2", "r2"),
        ("faq", "p3", "i3", "r3"),
        ("other", "p4", "i4", "r4"),
    ]
    found = {
        tuple(i.split("/")[1:4]): (instruction, response) for i, instruction, response in spoilt(pairs, ["mismatched"])
    }
    assert found == {
        ("seed", "true", "p1"): ("i1", "r1"), ("seed", "true", "p2"): ("i2", "r2"), ("seed", "true", "p3"): ("i3", "r3"),
        ("seed", "true", "p4"): ("i4", "r4"), ("seed", "mismatched", "p1"): ("i2", "r1"),
        ("seed", "mismatched", "p2"): ("i3", "r2"), ("seed", "mismatched", "p3"): ("i1", "r3"),
    }  # fmt: skip


def test_another_text_is_another_pair() -> None:
    one, other = ({i for i, _, _ in spoilt([("faq", "p", "i", text)], ["cut"])} for text in (TEXT, TEXT + " nine"))
    assert len(one) == 2
    assert not one & other


def test_own_labels() -> None:
    lines = [
        '{"instruction": "i", "response": "r", "label": true}',
        "",
        '{"instruction": "j", "response": "r", "label": false}',
    ]
    good, bad = labelled(lines)
    assert good[0].split("/")[:3] == ["known", "file", "true"]
    assert bad[0].split("/")[:3] == ["known", "file", "false"]
    assert good[0].split("/")[3] == bad[0].split("/")[3], "one response, one group"
    assert good[1:] == ("i", "r")


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "line 1: no JSON object"), ("[1]", "line 1: no JSON object"), ('{"instruction": "i"}', "'response'"),
     ('{"instruction": "i", "response": "r", "label": 1}', "label true or false"),
     ('{"instruction": 1, "response": "r", "label": true}', "must be texts"),
     ('{"instruction": NaN, "response": "r", "label": true}', "must be texts"),
     ('{"instruction": "i", "response": "r", "label": NaN}', "label true or false"),
     ('{"instruction": "i", "response": "\\ud800", "label": true}', "unpaired surrogate"),
     ("[" * 100_000, "line 1: no JSON object")],
)  # fmt: skip
def test_a_bad_label_error_names_the_line(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(labelled([line]))
