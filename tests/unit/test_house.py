"""Rules of the house that no linter knows."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = sorted(
    f for p in ("jobs", "transforms", "model_ops", "schemas", "expectations") for f in (ROOT / p).rglob("*.py")
)
JVM = re.compile(r"\b_jvm\b|\b_jsc\b|\b_jsparkSession\b|\bsparkContext\b|\.rdd\b")
CLIENT = re.compile(
    r"^\s*(?:import|from) (?:urllib\.request|urllib3|requests|httpx|aiohttp|http\.client)\b", re.MULTILINE
)


def test_one_file_reaches_past_spark_sql() -> None:
    assert [str(f.relative_to(ROOT)) for f in PRODUCT if JVM.search(f.read_text())] == ["jobs/lake/jvm.py"]


def test_two_files_reach_the_network() -> None:
    """One for single calls and one for partitions; `tests/model_ops/test_one_client.py` holds them to the same rules."""
    clients = [f"model_ops/client/{name}.py" for name in ("endpoint", "served_engine")]
    assert [str(f.relative_to(ROOT)) for f in PRODUCT if CLIENT.search(f.read_text())] == clients


def test_the_files_in_jobs_are_the_jobs() -> None:
    files = {f.stem for f in (ROOT / "jobs").glob("*.py")} - {"__init__", "__main__", "errors"}
    from jobs.loop.steps import JOBS

    assert files == {job.__name__.removeprefix("jobs.") for job in JOBS}


@pytest.mark.parametrize("file", PRODUCT, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_module_has_global_state_or_unformatted_code(file: Path) -> None:
    text = file.read_text()
    assert "fmt: skip" not in text
    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Global)]
