"""Pairs whose truth is known: the ways to spoil a text, and the format of a user's labels."""

import pytest

from transforms.scoring.known_pairs import cluttered, contradicted, cut, hollowed, labelled, leaked, spoilt

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


def test_a_leak_is_one_sentence_of_the_response() -> None:
    response = "Yes, it does.\n\nThe first sentence has many words. So has this second one here! Run it; see below."
    found = leaked("Does it?", response)
    assert found in {f"Does it? {s}" for s in ("The first sentence has many words.", "So has this second one here!")}
    assert leaked("Does it?", response) == found
    assert len({leaked("Does it?", f"{response} {n}") for n in range(20)}) == 2, "a hash of the response chooses"
    only = "The one sentence is in the question."
    assert leaked(f"Is it so? {only}", only) == f"Is it so? {only}"
    assert leaked("Is it?", "Yes.\nNo, it is not.") == "Is it?"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a 1986 b", "a 2986 b"),
        ("costs 9, or so", "costs 1, or so"),
        ("python3 v1.2 1st", "python3 v1.2 1st"),
        ("it is so", "it is not so"),
        ("It Is not so", "It Is so"),
        ("it isn't so", "it is so"),
        ("we don\u2019t know", "we do know"),
        ("you cannot know", "you can know"),
        ("you can't know", "you can know"),
        ("you can know", "you can not know"),
        ("this island", "this island"),
        ("the Linus and Linus alone", "the Linus and Linus alone"),
        ("nothing at all", "nothing at all"),
    ],
)
def test_a_contradiction_changes_one_place(text: str, expected: str) -> None:
    assert contradicted(text) == expected


def test_a_changed_name_is_another_name_of_the_text() -> None:
    found = contradicted("Then Linus met Ada, and Grace.")
    changed = {"Then Ada met Ada, and Grace.", "Then Linus met Grace, and Grace.", "Then Linus met Ada, and Linus."}
    assert found in changed - {"Then Linus met Ada, and Grace."}


def test_every_sort_of_contradiction_is_chosen() -> None:
    seen = {contradicted(f"{n} is what Ada told Grace").partition(" ")[2] for n in range(10, 50)}
    assert seen == {f"is what {told}" for told in ("Ada told Grace", "Grace told Grace", "Ada told Ada")} | {
        "is not what Ada told Grace"
    }


def test_a_pair_that_cannot_be_spoilt_in_a_way_is_left_out() -> None:
    found = spoilt(
        [("faq", "p1", "Why?", "Because of that."), ("faq", "p2", "Who?", "They say it is 5.")],
        ["leaked", "contradicted"],
    )
    assert [tuple(i.split("/")[2:4]) for i, _, _ in found] == [
        ("true", "p1"), ("true", "p2"), ("leaked", "p2"), ("contradicted", "p2"),
    ]  # fmt: skip


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
