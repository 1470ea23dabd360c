"""Eager computation of rows that are used more than once: counted, split and written, or sent to a model."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lake import jvm

FEW = 1_000_000
"""Rows of one or two ids, about 100 MB."""


def materialised(rows: DataFrame) -> DataFrame:
    """Compute the rows now and cut off their plan; they go to `spark.checkpoint.dir` if set, else to the executors.

    A cache would be dropped when a table in the plan is written to, and the plan would run again, which would
    parse pages or ask a model twice. Rows lost with an executor fail the job instead; rows in a checkpoint
    folder survive.
    """
    return rows.checkpoint() if jvm.has_checkpoint_folder(rows.sparkSession) else rows.localCheckpoint()


def few(rows: DataFrame) -> DataFrame:
    """Broadcast staged rows of one or two ids if they are few, so that a join does not shuffle its other side."""
    return F.broadcast(rows) if is_few(rows) else rows


def is_few(rows: DataFrame) -> bool:
    """Return whether the staged rows are few enough for every task to hold their ids."""
    return rows.count() <= FEW
