"""What a whole loop depends on, as one digest: while it is what a loop left behind, there is nothing to do."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from jobs import ingest_conversations, ingest_documents, select_unlabelled
from jobs.config import Recipe
from jobs.digests import segments_digest
from jobs.lake import Lake
from jobs.runs import Run
from jobs.section import digest
from model_ops.checkpoints import check_model_folder
from schemas import TABLES
from schemas.ops import RUNS

PACKAGES = ("jobs", "transforms", "expectations", "model_ops", "schemas")

Versions = dict[str, int]


def inputs_digest(lake: Lake, recipe: Recipe) -> str:
    """All that a loop depends on outside the lake: code, recipe, files; finds at once what it would miss hours later.

    Files are told apart by name, size and time; lists and prompts by what they say.

    Raises:
        RecipeError, JobError, ModelFolderError: a file or folder that the recipe names is not there or not readable.
    """
    crawl = ingest_documents.crawl_files(recipe.ingest_documents.paths)
    segments = segments_digest(recipe)  # block lists included
    conversations = ingest_conversations.conversation_files(lake, recipe)
    base = Path(recipe.base_model)
    check_model_folder(base)
    prompts = list(select_unlabelled.evaluation_texts(recipe))
    labels = [recipe.judge_check.file] if recipe.judge_check.file else []
    files = [_file(path) for path in (*crawl, *sorted(map(str, base.iterdir())), *labels)]
    files += sorted([f.path, f.length, str(f.modificationTime)] for f in
                    conversations.select("path", "length", "modificationTime").collect())  # fmt: skip
    return digest([_code_digest(), recipe.digest(), lake.run.limit, segments, prompts, files])


def versions(lake: Lake) -> Versions:
    """The newest version of every table; 0 where there are no rows yet, or not even a table.

    Not of `ops.runs`: each loop writes there, and jobs read in it only what they need not do again.
    """
    return {table.name: lake.version(table) or 0 for table in TABLES if table is not RUNS}


def state_digest(inputs: str, tables: Versions) -> str:
    """The state of everything: `inputs` is what `inputs_digest` gave."""
    return digest([inputs, tables])


def is_done(lake: Lake, state: str) -> bool:
    """Whether a loop has ended in exactly this state."""
    rows = lake.latest(RUNS)  # those of an older lake have no such column yet
    return "state_digest" in rows.columns and not rows.where(F.col("state_digest") == state).isEmpty()


def left_behind(lake: Lake, inputs: str, before: Versions, runs: Sequence[Run]) -> str | None:
    """The state in which the loop of `runs` ended, if a second look would find nothing.

    None if it was limited, if another writer has been at the tables since `before`, or if any try of a request
    failed: what stands as failed is sent again.
    """
    if lake.run.limit or any(run.n_failed for run in runs):
        return None
    ours = sum((run.commits for run in runs), Counter[str]())
    after = versions(lake)
    alone = all(version == before[name] + ours[name] for name, version in after.items())
    return state_digest(inputs, after) if alone else None


def _file(path: str) -> list[Any]:
    try:
        facts = os.stat(path)
    except OSError:  # whoever reads it says what is wrong with it
        return [path, None, None]
    return [path, facts.st_size, facts.st_mtime_ns]


def _code_digest() -> str:
    """The version number alone would miss a change in a checkout or in a wheel that was built again."""
    root, content = Path(__file__).parent.parent, hashlib.sha256()
    sources = (file for package in PACKAGES for file in sorted((root / package).rglob("*.py")))
    for file in [root] if root.is_file() else sources:  # a wheel that Spark runs as it is
        content.update(file.read_bytes())
    return content.hexdigest()
