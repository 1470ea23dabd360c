"""Backward answers become candidates; every unusable answer has a drop reason."""

import pytest
from pyspark.sql import SparkSession

from transforms.prompting.candidates import backward_prompts, candidates_from
from transforms.prompting.requests import requests_from

pytestmark = pytest.mark.spark

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
    found = {r.segment_id: r for r in candidates_from(segments, requests, ledger, method_digest="m").collect()}
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
    later = candidates_from(segments, requests, ledger, method_digest="n").where("segment_id = 'a'").first()
    assert later is not None
    assert (found["a"].method_digest, later.method_digest) == ("m", "n")
    assert later.candidate_id != found["a"].candidate_id, "another reading makes another candidate"


def test_the_prompt_ends_with_the_segment_as_it_is(spark: SparkSession) -> None:
    segments = spark.createDataFrame([("a", "{response} {instruction}")], "segment_id string, text string")
    row = backward_prompts(segments).first()
    assert row is not None
    assert row.prompt.endswith("Text:\n{response} {instruction}")
