"""Training examples, in both directions."""

import pytest
from pyspark.sql import SparkSession

from transforms.prompting.training_examples import examples_from

pytestmark = pytest.mark.spark


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ("forward", ("Tag.", "Why?", "Because.")),
        ("backward", ("", None, "Why?")),
    ],
)
def test_examples(spark: SparkSession, direction: str, expected: tuple[str, str | None, str]) -> None:
    pairs = spark.createDataFrame([("p", "Why?", "Because.", "train")],
                                  "source_id string, instruction string, response string, split string")  # fmt: skip
    (row,) = examples_from(pairs, dataset="x/forward-0", direction=direction, origin="seed", tag="Tag.").collect()
    system, prompt, completion = expected
    assert (row.system, row.completion, row.origin, row.split) == (system, completion, "seed", "train")
    assert row.prompt == prompt if prompt else row.prompt.endswith("Because.")
