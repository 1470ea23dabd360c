"""The answers from which a likelihood is read, and those from which none is."""

import math

import pytest
from pyspark.sql import SparkSession

from transforms.evaluation.likelihoods import likelihoods_from

pytestmark = pytest.mark.spark

ANSWERS = [
    ("a", "ok", -12.5, 5),
    ("just above 0", "ok", 1e-9, 5),
    ("failed", "failed", None, None),
    ("refused", "refused", -1.0, 5),
    ("no likelihood", "ok", None, 5),
    ("above 0", "ok", 7.0, 5),
    ("impossible", "ok", -math.inf, 5),
    ("not a number", "ok", math.nan, 5),
    ("empty", "ok", 0.0, 0),
]


def test_only_a_sound_likelihood_of_a_response_with_tokens_counts(spark: SparkSession) -> None:
    asked = [(name, f"pair {name}") for name in ("unanswered", *(name for name, *_ in ANSWERS))]
    requests = spark.createDataFrame([*asked, ("a", "an equal pair")], "request_id string, subject_id string")
    schema = "request_id string, status string, span_logprob double, span_tokens int"
    found = likelihoods_from(requests, spark.createDataFrame(ANSWERS, schema)).collect()
    assert {tuple(row) for row in found} == {
        ("pair a", -12.5, 5), ("an equal pair", -12.5, 5), ("pair just above 0", 0.0, 5),
    }  # fmt: skip
