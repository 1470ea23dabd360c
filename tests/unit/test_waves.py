"""Number of tasks of a wave, by the size of the cluster."""

from types import SimpleNamespace
from typing import Any

import pytest

from jobs.errors import JobError
from jobs.inference.waves import tasks_of_a_wave


def spark(cores: int, **settings: str) -> Any:
    """Return the parts of a Spark session that the code uses."""
    conf = {f"spark.{key.replace('_', '.')}": value for key, value in settings.items()}
    return SimpleNamespace(conf=conf, sparkContext=SimpleNamespace(defaultParallelism=cores))


@pytest.mark.parametrize(("cores", "partitions", "tasks"), [(1, 2, 1), (2, 2, 1), (4, 8, 2), (64, 8, 8), (16, 8, 8)])
def test_two_waves_fit_side_by_side(cores: int, partitions: int, tasks: int) -> None:
    assert tasks_of_a_wave(spark(cores), partitions) == tasks


def test_dynamic_allocation_gets_all_partitions() -> None:
    assert tasks_of_a_wave(spark(2, dynamicAllocation_enabled="true"), 8) == 8


def test_speculation_is_refused() -> None:
    with pytest.raises(JobError, match="would send requests twice"):
        tasks_of_a_wave(spark(2, speculation="true"), 2)
