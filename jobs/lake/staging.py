"""Staging of computed rows in files below the lake, one folder per part, so that a part is read without the others."""

import json
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, StructField, StructType

from jobs.lake import jvm
from jobs.lake.failures import sentence
from jobs.lake.process import Process, this_process
from jobs.lake.tables import Lake

log = logging.getLogger(__name__)

FOLDER = "_staging"
PLACE = "place"
"""Column with the place of a row in its part, from 0."""
SIGN_OF_LIFE = "_alive"
DEAD_AFTER_HOURS = 168.0
"""Age of the last sign of life, written once per part, at which a process on another machine counts as dead."""
# The default moves every file again at the end, one after the other; on S3 each move is a copy.
COMMITTER = "mapreduce.fileoutputcommitter.algorithm.version"


@dataclass(frozen=True)
class Parts:
    """Staged rows, which outlive the executors that computed them."""

    spark: SparkSession
    folder: str
    schema: StructType
    """The last column holds the part's number."""

    def all(self) -> DataFrame:
        """Return the rows of all parts, with the part's number as the last column."""
        return self._read(self.folder, self.schema)

    def part(self, number: int) -> DataFrame:
        """Return the rows of one part; no file of another part is listed or opened."""
        column = self.schema.fieldNames()[-1]
        return self._read(f"{self.folder}/{column}={number}", StructType(self.schema.fields[:-1]))

    def alive(self) -> None:
        """Write a sign of life, so that other runs do not take this folder for a crashed run's."""
        owner = json.dumps(asdict(this_process()))
        jvm.put_text(self.spark, f"{os.path.dirname(self.folder)}/{SIGN_OF_LIFE}", owner)

    def _read(self, folder: str, schema: StructType) -> DataFrame:
        return self.spark.read.schema(schema).parquet(re.sub(r"([\\*?\[\]{}])", r"\\\1", folder))


@contextmanager
def staged(lake: Lake, rows: DataFrame, part: str, order: Sequence[str]) -> Iterator[Parts]:
    """Stage the rows, computed once and split by the integer column `part`, and remove them at the end.

    The rows of a part get a `place` in the order of the columns `order`. Folders that crashed runs left are removed
    first.
    """
    _remove_abandoned(lake)
    folder = f"{lake.root}/{FOLDER}/{uuid.uuid4().hex}"
    schema = [field for field in rows.schema if field.name != part]
    schema += [StructField(PLACE, IntegerType(), nullable=False), rows.schema[part]]
    parts = Parts(lake.spark, f"{folder}/rows", StructType(schema))
    place = F.row_number().over(Window.partitionBy(part).orderBy(*order)) - 1
    try:
        parts.alive()
        by_part = rows.repartition(F.col(part)).withColumn(PLACE, place)  # a file per part
        by_part.write.partitionBy(part).option(COMMITTER, "2").parquet(parts.folder)
        yield parts
    finally:
        _remove(lake, folder)


def _remove_abandoned(lake: Lake) -> None:
    """Remove the staging folders that dead processes left."""
    root = f"{lake.root}/{FOLDER}"
    for name in jvm.names_in(lake.spark, root):
        if _is_abandoned(lake, f"{root}/{name}"):
            log.info("removing rows that a crashed run staged: %s/%s", root, name)
            _remove(lake, f"{root}/{name}")


def _is_abandoned(lake: Lake, folder: str) -> bool:
    """Return whether the process that staged rows here has ended, or its sign of life is too old."""
    owners = jvm.texts_in(lake.spark, folder, SIGN_OF_LIFE)
    is_running = Process(**json.loads(owners[0])).runs() if owners and owners[0] else None
    if is_running is None:
        last_sign = jvm.modified(lake.spark, f"{folder}/{SIGN_OF_LIFE}")
        return last_sign is not None and time.time() - last_sign > DEAD_AFTER_HOURS * 3600
    return not is_running


def _remove(lake: Lake, folder: str) -> None:
    """Remove a folder; log a failure instead of raising it, so as not to hide why the run failed."""
    try:
        jvm.remove(lake.spark, folder)
    except Exception as error:
        log.warning("%s could not be removed, a later run tries again: %s", folder, sentence(error))
