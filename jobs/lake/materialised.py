"""Rows computed once, now, and cut off from their plan: for what is counted, split and written, or asked of a model."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lake import jvm

FEW = 1_000_000
"""Rows of an id or two, some 100 MB."""


def materialised(rows: DataFrame) -> DataFrame:
    """The same rows, computed: below `spark.checkpoint.dir` where the session has one, else by its executors.

    A mere cache would be dropped when a table in the plan is written to, and the plan run again:
    pages parsed twice, or a model asked twice. Rows that are lost with an executor fail the job rather
    than do that; those in a checkpoint folder outlive it.
    """
    return rows.checkpoint() if jvm.has_checkpoint_folder(rows.sparkSession) else rows.localCheckpoint()


def few(rows: DataFrame) -> DataFrame:
    """Staged rows of an id or two; where they are few they go to every task, and what they are joined with stays."""
    return F.broadcast(rows) if is_few(rows) else rows


def is_few(rows: DataFrame) -> bool:
    """Whether every task may hold the ids of these staged rows."""
    return rows.count() <= FEW
