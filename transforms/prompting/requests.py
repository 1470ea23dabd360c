"""The common parts of all requests to models: their identity, and the handling of missing and refused answers."""

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
    """Build requests from `rows` of `subject_id`, `system`, `prompt`, `prefill`, `span` and, for likelihoods, `part`.

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
    """Join every request with its completion; `answered` is the completion's status, null if it is missing."""
    answers = completions.select(
        "request_id",
        "text",
        "label_logprobs",
        "span_logprob",
        "span_tokens",
        F.col("status").alias("answered"),
        refusal().alias("refusal"),
    )
    return requests.join(answers, "request_id", "left")


def gathered() -> tuple[Column, ...]:
    """Return aggregates over the `answers_to` a subject's requests: their ids, the number missing, and a refusal."""
    return (
        F.sort_array(F.collect_list("request_id")).alias("request_ids"),
        F.count_if(F.col("answered").isNull()).alias("missing"),
        F.min("refusal").alias("refusal"),
    )


def left_out() -> tuple[Column, Column]:
    """Return `drop_reason` and `rejected` of a subject whose answers are `gathered`.

    `unanswered`: an answer is missing, and a later run requests it again. `rejected`: a request was refused.
    """
    return F.when(F.col("missing") > 0, "unanswered").alias("drop_reason"), rejected_if_refused(F.col("refusal"))


def refusal() -> Column:
    """Return the reason for a refusal, from a completion's `status` and `error`; null if it was not refused."""
    return F.when(F.col("status") == "refused", F.coalesce("error", F.lit("no reason given")))


def refused_by_server() -> Column:
    """Return whether a server refused the request, and not our client: the server may then be at fault."""
    return (F.col("status") == "refused") & F.col("endpoint").isNotNull()


def rejected_if_refused(refusal: Column) -> Column:
    """Return the column `rejected` of a row with a refused request; null if `refusal` is null."""
    parts = {"rule": F.lit("refused"), "detail": refusal}
    fault = F.struct(*(parts.get(f.name, F.lit(None)).cast(f.dataType).alias(f.name) for f in REJECTED))
    return F.when(refusal.isNotNull(), fault).alias("rejected")
