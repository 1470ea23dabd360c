"""Lines of seed files become messages or a rejection, never an exception."""

import gzip
import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql.pandas.types import to_arrow_schema

from transforms.seed.conversations import ROWS, BadLineError, messages_from, rows_from


def messages(value: object) -> list[dict]:
    return messages_from(json.dumps(value).encode(), collection="seed.jsonl", licence="CC0-1.0")


def node(message_id: str, role: str, *replies: dict, **fields: object) -> dict:
    common = {"text": f"text of {message_id}", "lang": "en", "deleted": False, "synthetic": False}
    return {"message_id": message_id, "role": role, "replies": list(replies)} | common | fields


def test_tree_is_flattened_parents_first_and_in_order() -> None:
    tree = node("p", "prompter", node("a", "assistant", node("q", "prompter"), rank=0), node("b", "assistant", rank=1))
    rows = messages({"message_tree_id": "p", "prompt": tree})
    assert [(r["message_id"], r["parent_id"], r["role"], r["rank"]) for r in rows] == [
        ("p", None, "prompter", None),
        ("a", "p", "assistant", 0),
        ("q", "a", "prompter", None),
        ("b", "p", "assistant", 1),
    ]
    assert {r["tree_id"] for r in rows} == {"p"}
    assert rows[0] == {
        "message_id": "p",
        "tree_id": "p",
        "parent_id": None,
        "role": "prompter",
        "text": "text of p",
        "language": "en",
        "rank": None,
        "synthetic": False,
        "source": "seed.jsonl",
        "licence": "CC0-1.0",
        "drop_reason": None,
    }


def test_deleted_and_synthetic_messages_are_marked() -> None:
    tree = node("p", "prompter", node("a", "assistant", deleted=True), node("b", "assistant", synthetic=True))
    rows = messages({"prompt": tree})
    assert [(r["drop_reason"], r["synthetic"]) for r in rows] == [
        (None, False),
        ("deleted", False),
        (None, True),
    ]


def test_a_field_of_the_wrong_type_is_left_to_the_row_rules() -> None:
    (row,) = messages({"prompt": {"message_id": 7, "role": "prompter", "text": ["x"], "rank": True, "replies": 3}})
    assert [row[c] for c in ("message_id", "text", "rank")] == [None, None, None]


def test_pair_becomes_a_prompt_and_its_best_reply() -> None:
    prompt, reply = messages({"instruction": "Why?", "response": "Because.", "language": "en", "source": "faq"})
    assert (prompt["role"], prompt["text"], prompt["parent_id"], prompt["rank"]) == (
        "prompter",
        "Why?",
        None,
        None,
    )
    assert (reply["role"], reply["text"], reply["rank"]) == ("assistant", "Because.", 0)
    assert reply["parent_id"] == prompt["message_id"] == prompt["tree_id"] == reply["tree_id"]
    assert (reply["source"], reply["licence"], reply["language"]) == ("faq", "CC0-1.0", "en")
    assert len(reply["message_id"]) == 64


def test_pair_ids_depend_on_source_and_content_alone() -> None:
    pair = {"instruction": "Why?", "response": "Because."}
    assert messages(pair) == messages(dict(reversed(pair.items())))
    ids = [messages(pair | other)[1]["message_id"] for other in ({}, {"source": "faq"}, {"response": "No."})]
    assert len(set(ids)) == 3


def test_two_answers_to_one_question_share_their_prompt() -> None:
    first, second = [messages({"instruction": "Why?", "response": r}) for r in ("A.", "B.")]
    assert first[0] == second[0]
    assert first[1]["message_id"] != second[1]["message_id"]


@pytest.mark.parametrize(
    ("line", "prompt"),
    [
        ({"instruction": "Sum up.", "context": "A cat sat.", "response": "r", "category": "x"}, "Sum up.\n\nA cat sat."),
        ({"instruction": "Sum up.", "input": "A cat sat.", "output": "r", "text": "all"}, "Sum up.\n\nA cat sat."),
        ({"id": "7", "system_prompt": "Be kind.", "question": "Why?", "response": "r"}, "Be kind.\n\nWhy?"),
        ({"system": "Be kind.", "instruction": "Add.", "input": "1, 2", "history": [], "output": "r"},
         "Be kind.\n\nAdd.\n\n1, 2"),
        ({"question": "Why?", "context": None, "answer": "r"}, "Why?"),
        ({"prompt": "Why?", "completion": "r"}, "Why?"),
        ({"Instruction": "Why?", "Context": "A cat sat.", "Response": "r"}, "Why?\n\nA cat sat."),
        ({"instruction": " Why? ", "input": " \n", "output": "r", "images": []}, " Why? "),
        ({"instruction": "Why?", "input": "<noinput>", "output": "r", "tools": None}, "Why?"),
        ({"instruction": "", "input": "A cat\ud800 sat.", "output": "r", "turns": 1}, "A cat? sat."),
        ({"instruction": "", "output": "r"}, ""),
    ],
)  # fmt: skip
def test_context_and_system_fields_are_part_of_the_prompt(line: dict, prompt: str) -> None:
    asked, reply = messages(line)
    assert (asked["text"], reply["text"]) == (prompt, "r")
    assert messages({"instruction": prompt, "response": "r"}) == [asked, reply], "ids are of what the texts are"


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ({"history": [["Who?", "He."]]}, "history"),
        ({"messages": [{"role": "user", "content": "Who?"}]}, "messages"),
        ({"images": ["a.png"]}, "images"),
        ({"tools": "[{}]", "passage": "A cat sat."}, "tools, passage"),
        ({"context": ["A cat sat.", "A dog ran."]}, "context"),
        ({"input": {"text": "A cat sat."}}, "input"),
        ({"system": 7}, "system"),
        ({"input": 0}, "input"),
        ({"question": "How?"}, "instruction and question"),
        ({"output": "another"}, "response and output"),
    ],
)
def test_a_field_that_cannot_be_part_of_the_prompt_is_named(field: dict, named: str) -> None:
    with pytest.raises(BadLineError, match=rf"\b{named}: ") as caught:
        messages({"instruction": "Why?", "response": "r"} | field)
    assert caught.value.rule == "unused_field"


def test_language_and_licence_may_be_spelled_otherwise() -> None:
    rows = messages({"instruction": "Why?", "response": "r", "lang": "de", "license": "MIT"})
    assert {(row["language"], row["licence"]) for row in rows} == {("de", "MIT")}


@pytest.mark.parametrize("line", [b'{"instruction": "cut', b"not json", b'"\xff"', b"[" * 100_000])
def test_broken_json(line: bytes) -> None:
    with pytest.raises(BadLineError) as caught:
        messages_from(line, collection="seed.jsonl", licence=None)
    assert caught.value.rule == "broken_json"


@pytest.mark.parametrize("value", [[], None, 3, {}, {"prompt": "text"}, {"instruction": "only"}, {"a\ud800": 1}])
def test_unknown_shape(value: object) -> None:
    with pytest.raises(BadLineError, match="neither a message tree") as caught:
        messages(value)
    assert caught.value.rule == "unknown_shape"
    str(caught.value).encode()


PAIR = b'{"instruction": "Why?", "response": "Because."}\n'


def test_a_broken_line_is_rejected_with_its_line_number_and_reading_continues() -> None:
    content = PAIR + b'{"instruction": "cu\n\n' + PAIR
    rows = list(rows_from(content, path="/data/seed.jsonl", licence=None))
    assert [r.get("role") for r in rows] == ["prompter", "assistant", None, "prompter", "assistant"]
    rejected = rows[2]["rejected"]
    assert rows[2]["message_id"] == "/data/seed.jsonl:2"
    assert rejected["rule"] == "broken_json"
    assert (rejected["source_file"], rejected["record_offset"]) == ("/data/seed.jsonl", 2)
    assert rejected["payload"] == '{"instruction": "cu\n'
    assert "line 1 column" in rejected["detail"]


def test_payload_is_cut_at_4_kib() -> None:
    (row,) = rows_from("é".encode() * 5000, path="seed.jsonl", licence=None)
    assert row["rejected"]["payload"] == "é" * 2048


def test_gzip_and_plain_give_the_same_texts() -> None:
    plain = rows_from(PAIR * 2, path="/a/seed.jsonl", licence=None)
    packed = rows_from(gzip.compress(PAIR * 2), path="/a/seed.jsonl.gz", licence=None)
    assert [r["text"] for r in packed] == [r["text"] for r in plain] == ["Why?", "Because."] * 2


def test_a_gzip_cut_in_the_middle_keeps_what_came_before() -> None:
    lines = b"".join(PAIR.replace(b"Why", b"Why %d" % n) for n in range(5000))
    rows = list(rows_from(gzip.compress(lines)[:-400], path="seed.jsonl.gz", licence=None))
    assert len(rows) > 100
    assert rows[-1]["rejected"]["rule"] == "broken_gzip"
    assert [r["rejected"] for r in rows[:-1] if "rejected" in r] == []


def test_no_gzip_at_all() -> None:
    (row,) = rows_from(PAIR, path="seed.jsonl.gz", licence=None)
    assert (row["rejected"]["rule"], row["rejected"]["record_offset"]) == ("broken_gzip", 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "prompt",
                    "replies",
                    "message_id",
                    "text",
                    "role",
                    "rank",
                    "lang",
                    "instruction",
                    "response",
                    "input",
                    "history",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)  # the first call loads Arrow
@given(st.lists(JSON, max_size=4))
def test_rows_of_any_json_fit_the_table(values: list[object]) -> None:
    content = "\n".join(json.dumps(v) for v in values).encode()
    pa.RecordBatch.from_pylist(list(rows_from(content, path="f.jsonl", licence=None)), to_arrow_schema(ROWS))


@settings(deadline=None)
@given(st.binary())
def test_rows_of_any_bytes_fit_the_table(content: bytes) -> None:
    pa.RecordBatch.from_pylist(list(rows_from(content, path="f.jsonl", licence=None)), to_arrow_schema(ROWS))
