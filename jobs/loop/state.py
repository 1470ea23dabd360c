"""What a whole loop depends on, as one digest: while it is what a loop left behind, there is nothing to do."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyspark.sql import functions as F

from jobs import ingest_conversations, ingest_documents
from jobs.current.prompts import evaluation_texts
from jobs.lake.files import local_path
from jobs.lake.runs import Run
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from jobs.recipe.digests import segments_digest
from jobs.recipe.section import digest
from model_ops.training.checkpoints import check_model_folder
from schemas import TABLES
from schemas.ops import RUNS
from transforms.crawl.documents import UNREADABLE

PACKAGES = ("jobs", "transforms", "expectations", "model_ops", "schemas")

Versions = dict[str, int]
File = list[Any]
"""Path, size, time, and whether it can be read."""


def inputs_digest(lake: Lake, recipe: Recipe) -> str:
    """All that a loop depends on outside the lake: code, recipe, files; finds at once what it would miss hours later.

    Files are told apart by name, size and time; lists and prompts by what they say.

    Raises:
        RecipeError, JobError, ModelFolderError: a file or folder that the recipe names is not there or not readable.
    """
    seed = _local_seed(recipe)
    if seed is None:
        listed = ingest_conversations.conversation_files(lake, recipe).select("path", "length", "modificationTime")
        seed = sorted([f.path, f.length, str(f.modificationTime)] for f in listed.collect())
    return _inputs_digest(recipe, lake.run.limit, seed)


def _inputs_digest(recipe: Recipe, limit: int | None, seed: list[File]) -> str:
    crawl = ingest_documents.crawl_files(recipe.ingest_documents.paths)
    segments = segments_digest(recipe)  # block lists included
    base = Path(recipe.base_model)
    check_model_folder(base)
    prompts = list(evaluation_texts(recipe))
    labels = [recipe.judge_check.file] if recipe.judge_check.file else []
    files = [_file(path) for path in (*crawl, *sorted(map(str, base.iterdir())), *labels)]
    return digest([_code_digest(), recipe.digest(), limit, segments, prompts, files, seed])


def known_state(root: str, recipe: Recipe) -> str | None:
    """The state of everything, if a loop has ended well in it; told without Spark, so of a lake and a seed here only.

    Raises:
        RecipeError, JobError, ModelFolderError: as `inputs_digest`.
    """
    lake, seed = local_path(root), _local_seed(recipe)
    if lake is None or seed is None or not DeltaTable.is_deltatable(str(lake / RUNS.path)):
        return None
    paths = {table.name: str(lake / table.path) for table in TABLES if table is not RUNS}
    try:
        tables = {n: DeltaTable(path).version() if DeltaTable.is_deltatable(path) else 0 for n, path in paths.items()}
        runs = DeltaTable(str(lake / RUNS.path)).to_pyarrow_dataset()
    except DeltaError:  # a table that only Spark can read, or say what is wrong with
        return None
    state = state_digest(_inputs_digest(recipe, None, seed), tables)
    is_known = "state_digest" in runs.schema.names and runs.count_rows(filter=pc.field("state_digest") == state)
    return state if is_known else None


def versions(lake: Lake) -> Versions:
    """The newest version of every table; 0 where there are no rows yet, or not even a table.

    Not of `ops.runs`: loops write there, and jobs read in it only what they need not do again.
    """
    return {table.name: lake.version(table) or 0 for table in TABLES if table is not RUNS}


def state_digest(inputs: str, tables: Versions) -> str:
    """The state of everything: `inputs` is what `inputs_digest` gave."""
    return digest([inputs, tables])


def is_done(lake: Lake, state: str) -> bool:
    """Whether a loop has ended in exactly this state."""
    return not lake.latest(RUNS).where(F.col("state_digest") == state).isEmpty()


def left_behind(lake: Lake, inputs: str, before: Versions, runs: Sequence[Run]) -> str | None:
    """The state in which the loop of `runs` ended, if a second look would find nothing.

    None if it was limited, if another writer has been at the tables since `before`, or if any try of a request
    failed or a file could not be read: what stands as failed is tried again.
    """
    if lake.run.limit or any(run.n_failed or run.quarantined[UNREADABLE] for run in runs):
        return None
    ours = sum((run.commits for run in runs), Counter[str]())
    after = versions(lake)
    alone = all(version == before[name] + ours[name] for name, version in after.items())
    return state_digest(inputs, after) if alone else None


def _local_seed(recipe: Recipe) -> list[File] | None:
    """The conversation files; None where only Spark can tell which they are."""
    paths = recipe.ingest_conversations.paths
    matches = [glob(os.path.expanduser(path)) for path in paths if local_path(path)]
    if not paths or len(matches) < len(paths) or not all(matches):
        return None
    found = (Path(match) for some in matches for match in some)
    try:
        files = [_file(str(f)) for m in found for f in (m.iterdir() if m.is_dir() else [m])]
    except OSError:
        return None
    return None if any(size is None for _, size, *_ in files) else sorted(files)


def _file(path: str) -> File:
    try:
        facts = os.stat(path)
    except OSError:  # whoever reads it says what is wrong with it
        return [path, None, None, False]
    return [path, facts.st_size, facts.st_mtime_ns, os.access(path, os.R_OK)]


def _code_digest() -> str:
    """The version number alone would miss a change in a checkout or in a wheel that was built again."""
    root, content = Path(__file__).parents[2], hashlib.sha256()
    found = (file for package in PACKAGES for file in sorted((root / package).rglob("*")))
    sources = (file for file in found if file.suffix in {".py", ".j2"})
    for file in [root] if root.is_file() else sources:  # a wheel that Spark runs as it is
        content.update(file.read_bytes())
    return content.hexdigest()
