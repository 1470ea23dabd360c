"""Rows staged in parts are computed once, read part by part, and always deleted afterwards."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.lake.process import this_process
from jobs.lake.staging import FOLDER, SIGN_OF_LIFE, staged
from jobs.lake.tables import Lake

pytestmark = pytest.mark.spark


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(spark, str(tmp_path / "a [lake] of {x*}"))


def numbered(spark: SparkSession, n: int = 100) -> DataFrame:
    return spark.range(n).select(F.pmod("id", F.lit(4)).cast("int").alias("wave"), "id", F.col("id").alias("n"))


def left_behind(lake: Lake) -> list[str]:
    folder = Path(lake.root) / FOLDER
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_part_is_read_from_its_own_files(lake: Lake) -> None:
    with staged(lake, numbered(lake.spark), "wave", ["n"]) as parts:
        for wave in range(4):
            part = parts.part(wave)
            assert part.columns == ["id", "n", "place"]
            rows = sorted((row.place, row.id) for row in part.collect())
            assert rows == [*enumerate(range(wave, 100, 4))]
            assert all(f"/wave={wave}/" in file for file in part.inputFiles())
        assert parts.all().groupBy("wave").count().count() == 4


def test_the_rows_are_computed_once(lake: Lake) -> None:
    computed = lake.spark.sparkContext.accumulator(0)
    count = F.udf(lambda n: (computed.add(1), n)[1], "bigint").asNondeterministic()
    with staged(lake, numbered(lake.spark).withColumn("n", count("n")), "wave", ["n"]) as parts:
        assert [parts.part(wave).count() for wave in range(4)] == [25] * 4
        assert parts.all().agg(F.sum("n")).first()[0] == sum(range(100))  # type: ignore[index]  # one row
    assert computed.value == 100


def test_nothing_is_left_after_the_end_or_a_failure(lake: Lake) -> None:
    with staged(lake, numbered(lake.spark), "wave", ["n"]):
        assert len(left_behind(lake)) == 1
    assert left_behind(lake) == []
    with pytest.raises(ZeroDivisionError), staged(lake, numbered(lake.spark), "wave", ["n"]):
        1 / 0  # noqa: B018  # as a wave might fail
    assert left_behind(lake) == []


def test_folders_of_killed_runs_are_removed_and_active_ones_stay(lake: Lake) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = this_process()
    signs = {
        "killed": replace(here, pid=ended.pid),
        "killed, its number is used again": replace(here, started="1"),
        "at work": here,
        "on another machine": replace(here, machine="another"),
        "dead on another machine": replace(here, machine="another"),
    }
    root = Path(lake.root) / FOLDER
    for name, process in signs.items():
        (root / name).mkdir(parents=True)
        (root / name / SIGN_OF_LIFE).write_text(json.dumps(asdict(process)))
    os.utime(root / "dead on another machine" / SIGN_OF_LIFE, (0, 0))
    with staged(lake, numbered(lake.spark), "wave", ["n"]):
        assert {"at work", "on another machine"} < {*left_behind(lake)}
        assert len(left_behind(lake)) == 3
    assert left_behind(lake) == ["at work", "on another machine"]
