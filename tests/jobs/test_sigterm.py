"""SIGTERM in the middle of a Spark stage: the command ends in time, and none of its processes is left."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from jobs.cli.ending import INTERRUPTED, LIMIT_SECONDS
from tests.pages import write_warc

pytestmark = pytest.mark.spark
ROOT = Path(__file__).parent.parent.parent
RECIPE = """
name = "test"
base_model = "none"
[ingest_documents]
paths = ["{folder}/*.warc.gz"]
split_bytes = 1_048_576
"""


def test_sigterm_during_a_spark_stage_ends_all_processes_in_time(tmp_path: Path) -> None:
    write_warc(tmp_path / "crawl.warc.gz", n_pages=200)
    for n in range(100):  # the same pages; a minute's work for two cores
        (tmp_path / f"copy-{n}.warc.gz").symlink_to("crawl.warc.gz")
    (tmp_path / "recipe.toml").write_text(RECIPE.format(folder=tmp_path))
    options = ["ingest-documents", "--recipe", str(tmp_path / "recipe.toml"), "--lake", str(tmp_path / "lake")]
    command = [sys.executable, "-m", "jobs", *options]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as job:
        family = in_a_stage(psutil.Process(job.pid))
        job.terminate()
        began = time.monotonic()
        _, said = job.communicate(timeout=60)
        took = time.monotonic() - began
    assert job.returncode == 130, said
    assert took < LIMIT_SECONDS + 1
    assert INTERRUPTED in said  # Spark's workers may print after it
    assert "Traceback" not in said, said[said.index("Traceback") - 500 :][:3000]
    assert psutil.wait_procs(family, timeout=30)[1] == []


def in_a_stage(job: psutil.Process) -> list[psutil.Process]:
    """Wait until Spark's Python workers are busy, and return the job's processes."""
    deadline = time.monotonic() + 120
    while True:
        family = job.children(recursive=True)
        workers = [seconds for process in family if (seconds := worker_seconds(process)) is not None]
        if len(workers) > 2 and sum(workers) > 3:
            return family
        assert time.monotonic() < deadline, f"{workers} seconds of work by Python workers"
        time.sleep(0.2)


def worker_seconds(process: psutil.Process) -> float | None:
    """Return the CPU time of a Python worker of Spark, in seconds; None for any other process."""
    try:
        return process.cpu_times().user if "pyspark.daemon" in " ".join(process.cmdline()) else None
    except psutil.NoSuchProcess:
        return None
