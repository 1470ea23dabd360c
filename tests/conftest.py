"""Shared fixtures: one Spark session for all tests, a fresh lake for each test."""

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import hypothesis
import pytest
from pyspark.sql import SparkSession
from xdist.scheduler import LoadScopeScheduling

from jobs.__main__ import main
from jobs.inference.serving import EngineServers
from jobs.lake.runs import Run
from jobs.lake.session import spark_session
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Step
from model_ops.client.engine import Engine
from model_ops.client.fake_engine import FakeEngine
from model_ops.training import base_model
from schemas.ops import RUNS
from tests.jobs.synthetic_lake import synthetic_lake
from tests.jvm import QUICK
from tests.tiny_model import save_model

# pytest-xdist's processes have a main module without a file. PySpark takes that for a doctest, and exits.
vars(sys.modules["__main__"]).setdefault("__file__", __file__)

# No deadline: a busy machine must fail no test, and speed is measured in benchmarks.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

TOGETHER = {
    "models": ("tests/model_ops/", "tests/jobs/test_cluster.py", "tests/test_end_to_end.py"),  # one at a time
    "finished lake": ("tests/jobs/test_counting.py", "tests/jobs/test_engines.py"),
}

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests: those without a JVM first, the end-to-end test last, so that frequent failures show early."""
    items.sort(
        key=lambda i: ("end_to_end" in i.nodeid, "unit" not in i.path.parts, bool(i.get_closest_marker("model")))
    )


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Send each test to a free process, but each group of TOGETHER, which shares something costly, to one process."""

    # pytest-xdist 3.8's `xdist_group` has no effect under pytest 9.2.
    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((name for name, files in TOGETHER.items() if nodeid.startswith(files)), nodeid)

    return Together(config, log)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    settings = {
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        "spark.driver.extraJavaOptions": QUICK,
        # Generated code does not pay off either. The end-to-end test uses it, as users do.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }
    session = spark_session(**settings)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def finished_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The root of a finished lake, written once, only to be read."""
    root = str(tmp_path_factory.mktemp("finished") / "lake")
    synthetic_lake(root)
    return root


@dataclass(frozen=True)
class Output:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str


Command = Callable[..., Output]


@pytest.fixture
def look(capsys: pytest.CaptureFixture[str]) -> Command:
    """`look("tables", "--lake", ...)`: a command that needs no Spark, as typed."""

    def run(*words: object) -> Output:
        capsys.readouterr()
        code = main([str(w) for w in words], session=no_session)
        return Output(code, *capsys.readouterr())

    return run


def no_session() -> NoReturn:
    raise AssertionError("a look asks for no session")


@pytest.fixture
def humpback(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return `humpback("sql", ..., "--lake", ...)`, which runs a command as typed, in the tests' Spark session."""

    def run(*words: object) -> Output:
        capsys.readouterr()
        code = main([str(w) for w in words], session=lambda: nullcontext(spark))
        return Output(code, *capsys.readouterr())

    return run


OpenLake = Callable[..., RunLake]


@pytest.fixture
def open_lake(spark: SparkSession, tmp_path: Path) -> OpenLake:
    """Return `open_lake(job_module, iteration=1, ...)`, which opens the test's lake for one run of that job."""

    def opened(job: ModuleType | None = None, experiment: str = "test", **run: object) -> RunLake:
        writes = job.WRITES if job else RUNS
        unit = job.UNIT if job else "rows"
        name = job.__name__ if job else "test"
        return RunLake(spark, str(tmp_path / "lake"), Run(name, experiment, "0" * 16, writes, unit, **run))  # type: ignore[arg-type]

    return opened


RunJob = Callable[..., RunLake]


@pytest.fixture
def run_job(open_lake: OpenLake) -> RunJob:
    """Return `run_job(job_module, recipe, iteration=1, engine=...)`, which runs the job and returns the lake of that run."""

    def run(job: ModuleType, recipe: Recipe, engine: Engine | None = None, **options: Any) -> RunLake:
        step = Step(job, **options, servers=EngineServers(recipe.inference, engine or FakeEngine()))
        lake = open_lake(job, recipe.name, iteration=step.iteration, direction=step.direction)
        job.run(lake, recipe, step)
        assert {*lake.versions_read} <= {table.name for table in (*job.READS, job.WRITES)}, "READS names what is read"
        return lake

    return run


@pytest.fixture
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there: it holds third-party files that are never part of the project")
    return SHARED


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the demo's real model, made once by its command."""
    folder = tmp_path_factory.mktemp("models") / "smollm2"
    assert base_model.main(["--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random model, for a recipe's `base_model`."""
    return save_model(tmp_path_factory.mktemp("models") / "tiny-base")
