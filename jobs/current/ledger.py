"""The answers that count of all that the ledger holds."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.lake.tables import COMMIT, Lake
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from schemas.ops import MODELS

SETTLED = ("ok", "cut", "empty", "refused")
"""Statuses that say something of the model, for good; a `failed` answer, of the network or the server."""


def answers(lake: Lake, requests: DataFrame, model: Model) -> DataFrame:
    """The ledger's answer to each of a model's requests: the first `ok` one, else the first settled one, for ever."""
    return tried(lake, requests, model).drop("n_tries")


def tried(lake: Lake, requests: DataFrame, model: Model) -> DataFrame:
    """The same, with `n_tries`: how many settled answers there are.

    The first is the one that was committed first: clocks of hosts differ, and an answer that came earlier but
    was committed later must not change what has been read.
    """
    settled = completions(lake, model).where(F.col("status").isin(*SETTLED))
    mine = settled.join(requests.select("request_id").distinct(), "request_id", "left_semi")
    tries = Window.partitionBy("request_id")
    order = tries.orderBy((F.col("status") != "ok"), COMMIT, "created_at", "run_id", "attempt")
    placed = mine.withColumns({"place": F.row_number().over(order), "n_tries": F.count(F.lit(1)).over(tries)})
    return placed.where("place = 1").drop("place", COMMIT)


def completions(lake: Lake, model: Model) -> DataFrame:
    """All that a model has answered, under whichever name, and the version of the ledger that each came with."""
    same = {row.model_id for row in lake.collected(MODELS) if row.digest == model.digest} | {model.model_id}
    return lake.with_commits(COMPLETIONS).where(F.col("model_id").isin(*same))


def n_unanswered(lake: Lake, requests: DataFrame, model: Model) -> int:
    """How many of a model's requests have no settled answer; equal ones count once."""
    asked = requests.select("request_id").distinct()
    return asked.join(answers(lake, asked, model), "request_id", "left_anti").count()
