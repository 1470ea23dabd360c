"""The Spark session: Delta, UTC, this Python on the workers, and settings that suit the machine."""

import os
import pwd
import sys
import time

from pyspark.sql import SparkSession

from jobs.lake import jvm
from jobs.lake.start import cache_folder, start_lock

DELTA = "io.delta:delta-spark_4.2_2.13:4.4.0"
NOT_DELTA = "org.*:*,com.*:*,javax.*:*,commons-*:*,io.airlift:*"  # dependencies that Spark has in newer versions

SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.maxBytesPerBatch": "16m",  # by rows alone, a batch may hold 10,000 pages of 8 MiB
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.databricks.io.skipping.stringPrefixLength": "256",  # the default of 32 cuts all file names to one text
    "spark.cleaner.referenceTracking.cleanCheckpoints": "true",
    "spark.python.task.killTimeout": "0s",  # a cancelled task holds its core for 2 s at most
    "spark.log.level": "ERROR",
    "spark.sql.variable.substitute": "false",  # a `${...}` in a query or a slice is text, not a setting of Spark
}
LOCAL = {  # one machine: with the defaults, made for a cluster, every small commit takes seconds
    "spark.master": "local[*]",
    "spark.sql.codegen.cache.maxEntries": "1000",  # with the default of 100, evicted plans are compiled again
    "spark.jars.packages": DELTA,
    "spark.jars.excludes": NOT_DELTA,
    "spark.sql.shuffle.partitions": str(len(os.sched_getaffinity(0))),
    "spark.sql.files.minPartitionNum": str(4 * len(os.sched_getaffinity(0))),  # a core that finishes early takes more
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "4g",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}


def _folders() -> dict[str, str]:
    """Return the settings for the folders in which Spark on one machine keeps what outlives a session."""
    # Table names live only in the session, but Spark still makes a folder for each database.
    folders = {"spark.sql.warehouse.dir": str(cache_folder() / "warehouse")}
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir  # Java ignores HOME; Ivy keeps the jars here
    except KeyError:  # a container's user without a name
        home = ""
    if not os.access(home, os.W_OK):
        folders["spark.jars.ivy"] = str(cache_folder() / "ivy")
    return folders


def spark_session(**settings: str) -> SparkSession:
    """Return a session with Delta: local on all cores, or as spark-submit started this process."""
    os.environ["TZ"] = "UTC"  # otherwise PySpark returns datetimes in the machine's time zone
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
