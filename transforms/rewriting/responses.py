"""Build a rewriter's requests, read its replies as rows of `silver.rewrites`, and put rewrites into curated sets."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from schemas.gold import CURATED
from schemas.silver import REWRITES
from transforms.prompting.prompts import REWRITE
from transforms.prompting.requests import refusal, rejected_if_refused
from transforms.rewriting.grounding import grounding, unsupported_share
from transforms.rewriting.rewrites import UNPARSED, parsed, rejection

READ = ("response", "unsupported_share", "supports", "drop_reason")
"""The columns that are read from a reply."""
GIVEN = ("parent_id", "segment_id", "instruction", "segment", "model_id", "request_id", "text", "status", "error")
Choice = Literal["original", "rewritten", "both"]


@dataclass(frozen=True)
class RewriteRules:
    """The recipe's rules for rewritten responses; lengths are shares of the segment's characters."""

    language: str | None
    min_length_share: float
    max_length_share: float
    max_unsupported: float


def rewrite_prompts(pairs: DataFrame) -> DataFrame:
    """Return the rewriter's prompt for each pair (`pair_id`, `instruction`, `response`)."""
    return pairs.select(
        F.col("pair_id").alias("subject_id"),
        F.lit("").alias("system"),
        REWRITE.filled(instruction=F.col("instruction"), response=F.col("response")).alias("prompt"),
        F.lit(REWRITE.prefill).alias("prefill"),
        F.lit(None).cast("string").alias("span"),
    )


def rewrites_from(
    pairs: DataFrame, requests: DataFrame, completions: DataFrame, *, rules: RewriteRules, method_digest: str
) -> DataFrame:
    """Return a row of `silver.rewrites` for each pair, dropped ones included.

    Reasons: `failed` without an answer, `cut`, `empty`, `unparsed`, and those of `rejection`. A refused request makes
    the row `rejected`.
    """
    asked = requests.select("request_id", "subject_id", "model_id")
    answers = asked.join(completions.select("request_id", "text", "status", "error"), "request_id", "left")
    given = pairs.select(
        F.col("pair_id").alias("parent_id"), "segment_id", "instruction", F.col("response").alias("segment")
    )
    rows = given.join(answers, F.col("subject_id") == F.col("parent_id")).select(*GIVEN)
    schema = StructType([*rows.schema.fields, *(REWRITES.schema[name] for name in READ)])
    read = rows.mapInArrow(_reader(rules, schema), schema)
    rewrite_id = F.sha2(F.concat_ws("\u001f", F.lit(method_digest), "parent_id", "model_id", "request_id"), 256)
    identified = read.withColumns({"rewrite_id": rewrite_id, "method_digest": F.lit(method_digest)})
    return identified.select(*REWRITES.columns, rejected_if_refused(refusal()))


def with_rewrites(curated: DataFrame, rewrites: DataFrame, choice: Choice) -> DataFrame:
    """Return rows of `gold.curated` with the chosen responses.

    `rewrites` has the kept rewrites: `rewrite_id`, `parent_id`, `response`. A rewritten pair has the score of its
    parent, by which it was selected. With `rewritten`, a selected pair without a rewrite is dropped as
    `not_rewritten`; with `both`, all selected pairs stay beside the rewritten ones.
    """
    kept = curated.where("drop_reason IS NULL").drop("response")
    new = kept.join(rewrites.withColumnRenamed("parent_id", "pair_id"), "pair_id").withColumns(
        {"pair_id": F.col("rewrite_id"), "origin": F.lit("rewritten")}
    )
    new = new.select(*CURATED.columns, "drop_reason")
    if choice == "both":
        return curated.select(*CURATED.columns, "drop_reason").unionByName(new)
    parents = rewrites.select(F.col("parent_id").alias("pair_id"), F.lit(True).alias("is_rewritten"))
    marked = curated.join(parents, "pair_id", "left")
    replaced = marked.where("drop_reason IS NOT NULL OR is_rewritten IS NULL")
    reason = F.coalesce("drop_reason", F.lit("not_rewritten")).alias("drop_reason")
    return replaced.select(*CURATED.columns, reason).unionByName(new)


def _reader(rules: RewriteRules, schema: StructType) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return a function for `mapInArrow` that adds what is read from each reply."""
    arrow = to_arrow_schema(schema)

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield pa.RecordBatch.from_pylist([row | read_reply(row, rules) for row in batch.to_pylist()], arrow)

    return read


def read_reply(row: dict[str, Any], rules: RewriteRules) -> dict[str, Any]:
    """Return the columns `READ` for a reply (`segment`, `instruction`, `text`, `status`)."""
    nothing = dict.fromkeys(READ)
    if row["status"] != "ok":
        return nothing | {"drop_reason": None if row["status"] == "refused" else row["status"] or "failed"}
    response = parsed(row["text"]).response
    if response is None:
        return nothing | {"drop_reason": UNPARSED}
    supports = grounding(row["segment"], response)
    return {
        "response": response,
        "unsupported_share": unsupported_share(supports),
        "supports": [support._asdict() | {"missing": [*support.missing]} for support in supports],
        "drop_reason": rejection(row["segment"], row["instruction"], response, rules, supports),
    }
