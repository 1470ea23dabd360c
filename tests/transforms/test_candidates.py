"""Backward answers become candidates; every unusable answer has a drop reason."""

import pytest
from pyspark.sql import SparkSession

from transforms.prompting.candidates import backward_prompts, candidates_from
from transforms.prompting.requests import requests_from

pytestmark = pytest.mark.spark

WRITTEN = "request_id string, segment_id string"
LONG = "rsync copies files and sends only what differs. " * 8


def test_candidates(spark: SparkSession) -> None:
    segments = spark.createDataFrame([(c, LONG if c == "f" else f"text {{instruction}} {c}") for c in "abcdefg"],
                                     "segment_id string, text string")  # fmt: skip
    requests = requests_from(backward_prompts(segments), stage="candidates", model_id="backward-0-abc", model_digest="d",
                             prompt_id="p", sampling={})  # fmt: skip
    answers = {
        "a": ("ok", "How do I copy files?"),
        "b": ("ok", "\n Instruction: Explain rsync.\n\n"),
        "c": ("cut", "Explain how"),
        "d": ("empty", ""),
        "e": ("refused", None),
        "f": ("ok", LONG.strip()),
    }
    ids = {r.subject_id: r.request_id for r in requests.collect()}
    rows = [
        (ids[c], text, status, "too long" if status == "refused" else None) for c, (status, text) in answers.items()
    ]
    ledger = spark.createDataFrame(rows, "request_id string, text string, status string, error string")
    none = spark.createDataFrame([], WRITTEN)
    found = {r.segment_id: r for r in candidates_from(segments, requests, ledger, none, method_digest="m").collect()}
    assert {s: r.drop_reason for s, r in found.items()} == {
        "a": None, "b": None, "c": "cut", "d": "empty", "e": None, "f": "copies_segment", "g": "failed",
    }  # fmt: skip
    assert {s: r.rejected.asDict() for s, r in found.items() if r.rejected} == {
        "e": {"rule": "refused", "detail": "too long", "source_file": None, "record_offset": None, "payload": None}
    }
    assert found["a"].instruction == "How do I copy files?"
    assert found["b"].instruction == "Explain rsync."
    assert found["a"].response == "text {instruction} a", "braces in web text mean nothing"
    assert found["a"].request_id == ids["a"]
    later = candidates_from(segments, requests, ledger, none, method_digest="n").where("segment_id = 'a'").first()
    assert later is not None
    assert (found["a"].method_digest, later.method_digest) == ("m", "n")
    assert later.candidate_id != found["a"].candidate_id, "another reading makes another candidate"


def test_equal_instructions_of_a_segment_count_once(spark: SparkSession) -> None:
    segments = spark.createDataFrame([("a", "one"), ("b", "two")], "segment_id string, text string")
    requests = requests_from(backward_prompts(segments), stage="candidates", model_id="backward-0-abc", model_digest="d",
                             prompt_id="p", sampling={}, samples=3)  # fmt: skip
    texts = {"a0": "Why?", "a1": "How?", "a2": "Why? ", "b0": "Why?", "b1": "", "b2": ""}
    ids = {f"{r.subject_id}{r.sample}": r.request_id for r in requests.collect()}
    rows = [(ids[key], text, "ok" if text else "empty", None) for key, text in texts.items()]
    ledger = spark.createDataFrame(rows, "request_id string, text string, status string, error string")
    for earlier, repeated in (("b0", "a2"), ("a2", "a0")):
        rows_written = [(ids[earlier], earlier[0]), (ids[earlier], "another segment with this text")]
        written = spark.createDataFrame(rows_written, WRITTEN)
        found = candidates_from(segments, requests, ledger, written, method_digest="m").collect()
        reasons = {key: r.drop_reason for r in found for key in texts if ids[key] == r.request_id}
        assert reasons == dict.fromkeys(texts) | {"b1": "empty", "b2": "empty", repeated: "repeated"}
        assert len(found) == len(texts)


def test_the_prompt_ends_with_the_segment_as_it_is(spark: SparkSession) -> None:
    segments = spark.createDataFrame([("a", "{response} {instruction}")], "segment_id string, text string")
    row = backward_prompts(segments).first()
    assert row is not None
    assert row.prompt.endswith("Text:\n{response} {instruction}")
