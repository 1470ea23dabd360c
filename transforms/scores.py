"""Self-curation: requests that ask a forward model for a rating, and its answers as scores.

A pair to be scored has `candidate_id`, `instruction` and `response`. Every scorer reads the
ledger's raw answers, so that a better parser (`PARSERS` names its version) needs no model call.
"""

from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from transforms.prompts import EXPECTED, FORWARD, RUBRIC, Template

LABELS = ["1", "2", "3", "4", "5"]
PARSERS = {"rubric": "rubric/1", "expected": "expected/1", "likelihood_gain": "likelihood_gain/1"}
TEMPLATES: dict[str, Template] = {"rubric": RUBRIC, "expected": EXPECTED, "likelihood_gain": FORWARD}
# The last line is forced by the grammar, so that a rating always parses, however the model rambles.
RUBRIC_REGEX = r"[^\n]{1,%d}\nScore: [1-5]"
LAST_SCORE = r"(?i)(?:^|\n)\s*\**score\s*:\s*(\d+(?:\.\d+)?)(?:\s*/\s*5)?[.*\s]*$"


def score_sampling(scorer: str, *, temperature: float, rationale_chars: int) -> dict[str, Any]:
    """The sampling parameters of a scorer's requests."""
    if scorer == "rubric":
        # A token has at least one character: the grammar's bound ends the answer, not the token limit.
        return {
            "temperature": temperature,
            "max_tokens": rationale_chars + 16,
            "regex": RUBRIC_REGEX % rationale_chars,
        }
    if scorer == "expected":
        return {"temperature": 0.0, "max_tokens": 1, "labels": LABELS}
    return {"temperature": 0.0, "max_tokens": 1}


def score_prompts(pairs: DataFrame, *, scorer: str, system: str) -> DataFrame:
    """What `scorer` asks about each pair; `likelihood_gain` asks twice, with the instruction and without."""
    rows = pairs.withColumn("subject_id", F.col("candidate_id"))
    if scorer == "likelihood_gain":
        prompts = F.explode(F.array(F.col("instruction"), F.lit("")))
        return rows.select(
            "subject_id", F.lit(system).alias("system"), prompts.alias("prompt"), F.lit("").alias("prefill"),
            F.col("response").alias("span"),
        ).distinct()  # fmt: skip
    template = TEMPLATES[scorer]
    prompt = template.filled(instruction=F.col("instruction"), response=F.col("response"))
    return rows.select(
        "subject_id", F.lit("").alias("system"), prompt.alias("prompt"), F.lit(template.prefill).alias("prefill"),
        F.lit(None).cast("string").alias("span"),
    )  # fmt: skip


def scores_from(requests: DataFrame, completions: DataFrame, *, scorer: str, model_id: str) -> DataFrame:
    """Rows of `silver.scores`, one for every subject of `requests`, whatever became of its answers.

    Where an answer is still missing the row has the `drop_reason` `unanswered`: it is asked for again.
    """
    asked = requests.select("request_id", F.col("subject_id").alias("candidate_id"), "prompt")
    answers = asked.join(
        completions.select(
            "request_id", "text", "label_logprobs", "span_logprob", "span_tokens", F.col("status").alias("answered")
        ),
        "request_id",
        "left",
    )
    rated = _gains(answers) if scorer == "likelihood_gain" else _ratings(answers, scorer)
    return rated.select(
        "candidate_id",
        F.lit(model_id).alias("model_id"),
        F.lit(scorer).alias("scorer"),
        F.when(F.col("status") == "ok", F.col("score")).alias("score"),
        "status",
        "label_mass",
        F.lit(PARSERS[scorer]).alias("parser"),
        "request_ids",
        F.when(F.col("missing") > 0, "unanswered").alias("drop_reason"),
    )


def written_score(reply: Column) -> Column:
    """The rating on the last line of a reply (`Score: 4`, `score: 4/5`, `**Score: 4**`), or null."""
    found = F.regexp_extract(reply, LAST_SCORE, 1)
    return F.when(found != "", found.try_cast("double"))


def expected_score(label_logprobs: Column) -> Column:
    """The mean of the labels under their renormalised probabilities; null unless all are there."""
    weighted = [F.exp(label_logprobs[label]) * float(label) for label in LABELS]
    total = sum(weighted[1:], weighted[0])
    return total / label_mass(label_logprobs)


def label_mass(label_logprobs: Column) -> Column:
    """The probability of all labels together: low means the prompt, not the pair, is at fault."""
    masses = [F.exp(label_logprobs[label]) for label in LABELS]
    return sum(masses[1:], masses[0])


def _ratings(answers: DataFrame, scorer: str) -> DataFrame:
    value = expected_score(F.col("label_logprobs")) if scorer == "expected" else written_score(F.col("text"))
    mass = label_mass(F.col("label_logprobs")) if scorer == "expected" else F.lit(None).cast("double")
    status = (
        F.when(F.col("answered") == "cut", "cut")
        .when(~F.coalesce(F.col("answered") == "ok", F.lit(False)), "failed")
        .when(F.col("score").isNull(), "unparsed")
        .when(~F.col("score").between(1, 5), "out_of_range")
        .otherwise("ok")
    )
    return (
        answers.withColumn("score", value)
        .withColumn("label_mass", mass)
        .withColumn("status", status)
        .withColumn("request_ids", F.array("request_id"))
        .withColumn("missing", F.col("answered").isNull().cast("int"))
    )


def _gains(answers: DataFrame) -> DataFrame:
    """log p(response | instruction) - log p(response), per response token, in nats."""
    given, alone = F.col("prompt") != "", F.col("prompt") == ""
    sums = answers.groupBy("candidate_id").agg(
        F.max(F.when(given, F.col("span_logprob"))).alias("given"),
        F.max(F.when(alone, F.col("span_logprob"))).alias("alone"),
        F.max("span_tokens").alias("tokens"),
        F.sort_array(F.collect_list("request_id")).alias("request_ids"),
        F.count_if(F.col("answered").isNull()).alias("missing"),
    )
    score = (F.col("given") - F.col("alone")) / F.when(F.col("tokens") > 0, F.col("tokens"))
    return (
        sums.withColumn("score", score)
        .withColumn("status", F.when(F.col("score").isNull(), "failed").otherwise("ok"))
        .withColumn("label_mass", F.lit(None).cast("double"))
    )


def dev_pairs_from(seed_pairs: DataFrame, *, n: int) -> DataFrame:
    """The first `n` held-out pairs as pairs to be scored: each true, and with another's instruction.

    The other instruction is the next one of the same source, so that a scorer can't tell a
    mismatch by its topic alone. `candidate_id` is `dev-true-<pair_id>` or `dev-mismatched-<pair_id>`.
    """
    dev = seed_pairs.where("split = 'dev'").orderBy("pair_id").limit(n)
    ring = Window.partitionBy("source").orderBy("pair_id")
    whole = ring.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    other = F.coalesce(F.lead("instruction").over(ring), F.first("instruction").over(whole))
    rows = dev.withColumn("other", other)
    true = rows.select(F.concat(F.lit("dev-true-"), "pair_id").alias("candidate_id"), "instruction", "response")
    mismatched = rows.where(F.col("other") != F.col("instruction")).select(
        F.concat(F.lit("dev-mismatched-"), "pair_id").alias("candidate_id"),
        F.col("other").alias("instruction"),
        "response",
    )
    return true.unionByName(mismatched)
