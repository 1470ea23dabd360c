"""Selection of the ledger's answers that count."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.lake.tables import COMMIT, Lake
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from schemas.ops import MODELS

SETTLED = ("ok", "cut", "empty", "refused")
"""Final statuses, which depend on the model; `failed` depends on the network or the server."""


def answers(lake: Lake, requests: DataFrame, model: Model) -> DataFrame:
    """Return the ledger's answer to each of a model's requests: the first `ok` one, else the first settled one."""
    return tried(lake, requests, model).drop("n_tries")


def tried(lake: Lake, requests: DataFrame, model: Model) -> DataFrame:
    """Return the answer to each request as `answers` does, with `n_tries`, its number of settled answers.

    The first answer is the one committed first: clocks of hosts differ, and an answer that came earlier but was
    committed later must not change what has been read.
    """
    settled = completions(lake, model).where(F.col("status").isin(*SETTLED))
    answered = settled.join(requests.select("request_id").distinct(), "request_id", "left_semi")
    answers_of_request = Window.partitionBy("request_id")
    order = answers_of_request.orderBy((F.col("status") != "ok"), COMMIT, "created_at", "run_id", "attempt")
    ranked = answered.withColumns(
        {"place": F.row_number().over(order), "n_tries": F.count(F.lit(1)).over(answers_of_request)}
    )
    return ranked.where("place = 1").drop("place", COMMIT)


def completions(lake: Lake, model: Model) -> DataFrame:
    """Return all answers of a model under any of its names, each with the ledger version that added it."""
    model_ids = {row.model_id for row in lake.collected(MODELS) if row.digest == model.digest} | {model.model_id}
    return lake.with_commits(COMPLETIONS).where(F.col("model_id").isin(*model_ids))


def n_unanswered(lake: Lake, requests: DataFrame, model: Model) -> int:
    """Count a model's requests without a settled answer; equal requests count once."""
    asked = requests.select("request_id").distinct()
    return asked.join(answers(lake, asked, model), "request_id", "left_anti").count()
