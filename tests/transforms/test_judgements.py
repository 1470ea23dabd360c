"""Verdicts in both orders: preferences computed by hand, and the status of each failure."""

import math

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from transforms.evaluation.judgements import SAMPLING, judgements_from, verdict_prompts
from transforms.prompting.requests import requests_from

pytestmark = pytest.mark.spark

FACTS = {"method_digest": "d", "judge_id": "j", "prompt_set": "s", "model_id": "m", "reference_id": "r"}


def test_preferences_and_statuses(spark: SparkSession) -> None:
    answers = spark.createDataFrame([(p, "Why?", f"mine {p}", f"theirs {p}") for p in "abcdefg"],
                                    "prompt_id string, prompt string, output string, reference string")  # fmt: skip
    plain, swapped = (
        requests_from(verdict_prompts(answers, swapped=turned), stage="judgements", model_id="j", model_digest="d",
                      prompt_id="p", sampling=SAMPLING)
        for turned in (False, True)
    )  # fmt: skip
    ids = {(r.subject_id, turned): r.request_id for turned, f in ((False, plain), (True, swapped)) for r in f.collect()}
    (prompt,) = [r.prompt for r in swapped.collect() if r.subject_id == "a"]
    assert prompt.endswith("Instruction:\nWhy?\n\nAnswer 1:\ntheirs a\n\nAnswer 2:\nmine a")
    # a: the model is better with 0.8 in front and 0.6 behind; b: only the position matters; c: one label is missing.
    first = {("a", False): 0.8, ("a", True): 0.4, ("b", False): 0.9, ("b", True): 0.9, ("c", True): 0.5}
    said = [(ids[key], {"1": math.log(p / 2), "2": math.log((1 - p) / 2)}, "ok") for key, p in first.items()]
    said += [(ids["c", False], {"1": -1.0}, "ok"), (ids["d", False], None, "failed")]
    said += [(ids["e", turned], None, "refused") for turned in (False, True)]
    # f: neither label has a probability; g: one is not a number. Neither fails the job or counts as a verdict.
    said += [(ids["f", turned], {"1": -9999.0, "2": -9999.0}, "ok") for turned in (False, True)]
    said += [(ids["g", False], {"1": -0.5, "2": -1.0}, "ok"), (ids["g", True], {"1": math.nan, "2": -1.0}, "ok")]
    ledger = spark.createDataFrame(said, "request_id string, label_logprobs map<string,double>, status string")
    unused = {"text": "string", "span_logprob": "double", "span_tokens": "int"}
    ledger = ledger.withColumns({"error": F.lit("too long")} | {n: F.lit(None).cast(t) for n, t in unused.items()})
    found = {r.prompt_id: r for r in judgements_from(plain, swapped, ledger, **FACTS).collect()}
    assert found["a"].preference == pytest.approx(1.7)
    assert found["b"].preference == pytest.approx(1.5)
    assert {p: (r.status, r.drop_reason) for p, r in found.items()} == {
        "a": ("ok", None), "b": ("ok", None), "c": ("unparsed", None), "d": ("failed", "unanswered"), "e": ("failed", None),
        "f": ("unparsed", None), "g": ("unparsed", None),
    }  # fmt: skip
    assert {p: r.rejected.detail for p, r in found.items() if r.rejected} == {"e": "too long"}
    assert all(len(r.request_ids) == 2 and r.judge_id == "j" for r in found.values())
