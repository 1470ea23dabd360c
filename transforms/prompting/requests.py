"""What every request to a model has in common: its identity, and what a refused one comes to."""

import json
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.request import REQUEST
from schemas.result import REJECTED

SEPARATOR = "\u001f"


def requests_from(
    rows: DataFrame,
    *,
    stage: str,
    model_id: str,
    model_digest: str,
    prompt_id: str,
    sampling: dict[str, Any],
    samples: int = 1,
) -> DataFrame:
    """The requests for `rows`: `subject_id`, `system`, `prompt`, `prefill`, `span` and, of a likelihood's two, `part`.

    `request_id` hashes everything that shapes an answer: stage, template, rendered text, the
    digest of weights and tokenizer, sampling and sample number; never a clock or an address.
    """
    numbered = rows.withColumn("sample", F.explode(F.sequence(F.lit(0), F.lit(samples - 1))))
    if "part" not in rows.columns:
        numbered = numbered.withColumn("part", F.lit(None).cast("string"))
    framed = numbered.select(
        "*",
        F.lit(stage).alias("stage"),
        F.lit(model_id).alias("model_id"),
        F.lit(prompt_id).alias("prompt_id"),
        F.lit(json.dumps(sampling, sort_keys=True)).alias("sampling"),
    )
    identity = F.concat_ws(
        SEPARATOR,
        "stage",
        F.lit(model_digest),
        "prompt_id",
        "system",
        "prompt",
        "prefill",
        F.coalesce("span", F.lit("")),
        "sampling",
        F.col("sample").cast("string"),
    )
    return framed.withColumn("request_id", F.sha2(identity, 256)).select(*REQUEST.fieldNames())


def answers_to(requests: DataFrame, completions: DataFrame) -> DataFrame:
    """Every request with what came back for it: `answered` is the completion's status, null where it is missing."""
    found = completions.select(
        "request_id",
        "text",
        "label_logprobs",
        "span_logprob",
        "span_tokens",
        F.col("status").alias("answered"),
        refusal().alias("refusal"),
    )
    return requests.join(found, "request_id", "left")


def gathered() -> tuple[Column, ...]:
    """Aggregates over the `answers_to` all requests about a subject: their ids, how many are missing, a refusal."""
    return (
        F.sort_array(F.collect_list("request_id")).alias("request_ids"),
        F.count_if(F.col("answered").isNull()).alias("missing"),
        F.min("refusal").alias("refusal"),
    )


def left_out() -> tuple[Column, Column]:
    """`drop_reason` and `rejected` of a subject whose answers are `gathered`.

    `unanswered`: some are missing, and will be asked for again; rejected: a request was refused.
    """
    return F.when(F.col("missing") > 0, "unanswered").alias("drop_reason"), rejected_if_refused(F.col("refusal"))


def refusal() -> Column:
    """Why a completion was refused, of rows with its `status` and `error`; null where it was not."""
    return F.when(F.col("status") == "refused", F.coalesce("error", F.lit("no reason given")))


def refused_by_server() -> Column:
    """Whether it was a server that refused, not our own client: then it may have been the server's fault."""
    return (F.col("status") == "refused") & F.col("endpoint").isNotNull()


def rejected_if_refused(refusal: Column) -> Column:
    """The `rejected` of a row for which a request was made, null where `refusal` is."""
    parts = {"rule": F.lit("refused"), "detail": refusal}
    fault = F.struct(*(parts.get(f.name, F.lit(None)).cast(f.dataType).alias(f.name) for f in REJECTED))
    return F.when(refusal.isNotNull(), fault).alias("rejected")
