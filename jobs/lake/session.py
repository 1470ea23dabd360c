"""The Spark session: Delta, UTC, this Python on the workers, and settings that suit the machine."""

import os
import pwd
import sys
import time

from pyspark.sql import SparkSession

from jobs.lake import jvm
from jobs.lake.start import cache_folder, start_lock

DELTA = "io.delta:delta-spark_4.2_2.13:4.4.0"
NOT_DELTA = "org.*:*,com.*:*,javax.*:*,commons-*:*,io.airlift:*"  # what it would bring again, older than Spark's own

SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.maxBytesPerBatch": "16m",  # by number alone 10,000 pages of 8 MiB may come at once
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.databricks.io.skipping.stringPrefixLength": "256",  # of 32, file names are all alike, and none is skipped
    "spark.cleaner.referenceTracking.cleanCheckpoints": "true",
    "spark.python.task.killTimeout": "0s",  # once it is cancelled, a task holds its core for 2 s at most
    "spark.log.level": "ERROR",
    "spark.sql.variable.substitute": "false",  # a `${...}` in a query or a slice is text, not a setting of Spark
}
LOCAL = {  # one machine: the defaults, made for a cluster, turn every small commit into seconds
    "spark.master": "local[*]",
    "spark.sql.codegen.cache.maxEntries": "1000",  # 100 by default, and a plan that fell out is compiled anew
    "spark.jars.packages": DELTA,
    "spark.jars.excludes": NOT_DELTA,
    "spark.sql.shuffle.partitions": str(len(os.sched_getaffinity(0))),
    "spark.sql.files.minPartitionNum": str(4 * len(os.sched_getaffinity(0))),  # a core that is done early takes more
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "4g",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}


def _folders() -> dict[str, str]:
    """Where Spark on one machine keeps what outlives a session."""
    # Names of tables live in the session only; Spark makes a folder for each database all the same.
    folders = {"spark.sql.warehouse.dir": str(cache_folder() / "warehouse")}
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir  # Java's, whatever HOME says: Ivy keeps the jars there
    except KeyError:  # a container's user without a name
        home = ""
    if not os.access(home, os.W_OK):
        folders["spark.jars.ivy"] = str(cache_folder() / "ivy")
    return folders


def spark_session(**settings: str) -> SparkSession:
    """A session with Delta: local on all cores, or what spark-submit started this process with."""
    os.environ["TZ"] = "UTC"  # what PySpark gives as datetimes is else in the machine's own zone
    time.tzset()
    builder = SparkSession.builder.appName("humpback")
    values = SETTINGS | settings
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # not started by spark-submit
        os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        values = SETTINGS | LOCAL | _folders() | settings
        with start_lock(cache_folder()):
            jvm.launch(values)
    for key, value in values.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
