"""The state that a loop depends on, as one digest; while it equals that of a finished loop, there is nothing to do."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.lake import local
from jobs.lake.files import conversation_files, crawl_files
from jobs.lake.runs import Run
from jobs.lake.tables import Lake
from jobs.recipe.benchmarks import benchmark_files
from jobs.recipe.config import Recipe
from jobs.recipe.digests import segments_digest
from jobs.recipe.prompts import read_set, set_digest
from jobs.recipe.section import digest
from model_ops.training.checkpoints import check_model_folder
from schemas import TABLES
from schemas.ops import RECIPES, RUNS
from transforms.crawl.documents import UNREADABLE

PACKAGES = ("jobs", "transforms", "expectations", "model_ops", "schemas")
CODE = Path(__file__).parents[2]
"""The checkout, the folder of installed packages, or the wheel that Spark runs without unpacking it."""

Versions = dict[str, int]
File = list[Any]
"""Path, size in bytes, modification time in ns, and whether it is readable."""


def inputs_digest(recipe: Recipe, limit: int | None, code: Path = CODE) -> str | None:
    """Digest what a loop depends on outside the lake: code, recipe and files, of which none may be missing.

    Files are compared by name, size and time, lists and prompts by their contents. None if the recipe names
    remote files, since only reading them would show whether they have changed.

    Raises:
        RecipeError, JobError, ModelFolderError: a file or folder that the recipe names is missing or unreadable.
    """
    crawl = crawl_files(recipe.ingest_documents.paths, recipe.ingest_conversations.paths)
    seed, remote = conversation_files(recipe.ingest_conversations.paths)
    segments = segments_digest(recipe)  # block lists included
    base = Path(recipe.base_model)
    check_model_folder(base)
    prompts = [set_digest(read_set(recipe, name)) for name in recipe.prompt_sets]
    labels = [recipe.judge_check.file] if recipe.judge_check.file else []
    files = [_file_state(path) for path in (*crawl, *seed, *sorted(map(str, base.iterdir())), *labels)]
    files += [_file_state(path) for path in benchmark_files(recipe)]
    if remote:
        return None
    return digest([code_digest(code), recipe.digest(), limit, segments, prompts, files])


def versions(lake: Lake) -> Versions:
    """Return the newest version of every table except the loops' records; 0 where there are no rows, or no table.

    Every loop writes those, and jobs read in them only what they need not do again.
    """
    tables = [table for table in TABLES if table not in (RECIPES, RUNS)]
    local_versions = local.versions(lake.root, tables)
    return local_versions if local_versions is not None else {table.name: lake.version(table) or 0 for table in tables}


def state_digest(inputs: str | None, tables: Versions) -> str | None:
    """Digest the result of `inputs_digest` with the tables' versions; None if `inputs` is None."""
    return None if inputs is None else digest([inputs, tables])


def is_done(spark: SparkSession, root: str, inputs: str | None, tables: Versions) -> bool:
    """Return whether a loop has ended in exactly this state."""
    state = state_digest(inputs, tables)
    if state is None:
        return False
    n = local.count_rows(root, RUNS, "state_digest", state)
    if n is not None:
        return n > 0
    return not Lake(spark, root).read(RUNS).where(F.col("state_digest") == state).isEmpty()


def left_behind(lake: Lake, inputs: str | None, before: Versions, runs: Sequence[Run]) -> str | None:
    """Return the state digest at the end of the loop of `runs`, if a second loop would find nothing to do.

    None if another writer has changed the tables since `before`, or if any request failed or a file could not
    be read, since the next loop tries those again.
    """
    if any(run.n_failed or run.quarantined[UNREADABLE] for run in runs):
        return None
    own_commits = sum((run.commits for run in runs), Counter[str]())
    after = versions(lake)
    is_only_writer = all(version == before[name] + own_commits[name] for name, version in after.items())
    return state_digest(inputs, after) if is_only_writer else None


def _file_state(path: str) -> File:
    try:
        status = os.stat(path)
    except OSError:  # the job that reads the file reports the error
        return [path, None, None, False]
    return [path, status.st_size, status.st_mtime_ns, os.access(path, os.R_OK)]


def code_digest(root: Path) -> str:
    """Hash the source files, since the version number misses a change in a checkout or in a rebuilt wheel."""
    content = hashlib.sha256()
    paths = (file for package in PACKAGES for file in sorted((root / package).rglob("*")))
    sources = (file for file in paths if file.suffix in {".py", ".j2"})
    for file in [root] if root.is_file() else sources:
        content.update(file.read_bytes())
    return content.hexdigest()
