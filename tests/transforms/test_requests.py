"""The fields that change a request's id, and those that do not."""

from typing import Any

import pytest
from pyspark.sql import SparkSession

from transforms.prompting.requests import requests_from

pytestmark = pytest.mark.spark

COLUMNS = "subject_id string, system string, prompt string, prefill string, span string"
BASE: dict[str, Any] = {
    "stage": "s",
    "model_id": "m",
    "model_digest": "d",
    "prompt_id": "p",
    "sampling": {"temperature": 0.7},
}


def identity(spark: SparkSession, row: tuple[object, ...] = ("a", "", "x", "", None), **changed: Any) -> str:
    frame = spark.createDataFrame([row], COLUMNS)
    found = requests_from(frame, **(BASE | changed)).first()
    assert found is not None
    return str(found.request_id)


@pytest.mark.parametrize(
    "changed",
    [{"stage": "t"}, {"model_digest": "e"}, {"prompt_id": "q"}, {"sampling": {"temperature": 0.8}}],
    ids=lambda c: next(iter(c)),
)
def test_answer_relevant_fields_change_the_request_id(spark: SparkSession, changed: dict[str, Any]) -> None:
    assert identity(spark, **changed) != identity(spark)


def test_request_ids_equal_those_in_existing_lakes(spark: SparkSession) -> None:
    assert identity(spark) == "aad2c5e0e40560ee96818fc1b8d0bf0d5744a6f99c5104be5ae70c309a7173f2"


@pytest.mark.parametrize(
    "row", [("a", "y", "x", "", None), ("a", "", "y", "", None), ("a", "", "x", "y", None), ("a", "", "x", "", "y")]
)
def test_each_text_changes_the_request_id(spark: SparkSession, row: tuple[object, ...]) -> None:
    assert identity(spark, row) != identity(spark)


def test_subject_and_model_name_do_not_change_the_request_id(spark: SparkSession) -> None:
    assert identity(spark, ("b", "", "x", "", None), model_id="n") == identity(spark)


def test_samples_are_requests_of_their_own(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("a", "", "x", "", None)], COLUMNS)
    found = requests_from(frame, **BASE, samples=3).collect()
    assert [r.sample for r in found] == [0, 1, 2]
    assert len({r.request_id for r in found}) == 3
