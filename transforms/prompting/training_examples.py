"""Turn pairs into training examples, prompt and completion, in either direction."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.gold import TRAINING_EXAMPLES
from transforms.prompting.prompts import BACKWARD, FORWARD


def examples_from(pairs: DataFrame, *, dataset: str, direction: str, origin: str, tag: str) -> DataFrame:
    """Return rows of `gold.training_examples` from pairs (`source_id`, `instruction`, `response`, `split`).

    Forward examples have the tag of their origin as system message (the paper's section 2.3);
    backward examples, whose prompt is made from the response, have none.
    """
    if direction == "forward":
        system, prompt, completion = F.lit(tag), FORWARD.filled(instruction=F.col("instruction")), F.col("response")
    else:
        system, prompt, completion = F.lit(""), BACKWARD.filled(response=F.col("response")), F.col("instruction")
    rows = pairs.select(
        F.lit(dataset).alias("dataset"),
        system.alias("system"),
        prompt.alias("prompt"),
        completion.alias("completion"),
        F.lit(origin).alias("origin"),
        "source_id",
        "split",
    )
    example_id = F.sha2(F.concat_ws("\u001f", "system", "prompt", "completion"), 256)
    return rows.withColumn("example_id", example_id).select(*TRAINING_EXAMPLES.columns)
