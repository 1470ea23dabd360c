"""Rows computed once, now, and cut off from their plan: for what is counted, split and written, or asked of a model."""

from pyspark.sql import DataFrame

from jobs.lake import jvm


def materialised(rows: DataFrame) -> DataFrame:
    """The same rows, computed: below `spark.checkpoint.dir` where the session has one, else by its executors.

    A mere cache would be dropped when a table in the plan is written to, and the plan run again:
    pages parsed twice, or a model asked twice. Rows that are lost with an executor fail the job rather
    than do that; those in a checkpoint folder outlive it.
    """
    return rows.checkpoint() if jvm.has_checkpoint_folder(rows.sparkSession) else rows.localCheckpoint()
