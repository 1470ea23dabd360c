"""Rows of earlier runs, written to a lake in milliseconds as the starting point of a test."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deltalake import write_deltalake

from jobs.current.models import dataset_name
from jobs.lake.conform import arrow_of, predicate
from jobs.recipe.config import Direction, Recipe
from jobs.recipe.digests import training_digest
from model_ops.serving.model import Model
from schemas.ops import MODELS, RELEASES
from schemas.table import Table


def plant(root: Path | str, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows unchecked, with delta-rs: writing them with Spark, as jobs do, takes seconds."""
    place, partitions = f"{root}/{table.path}", [*table.partition_by] or None
    write_deltalake(place, arrow_of(table, rows), mode="append", partition_by=partitions)


def plant_model(
    root: Path | str, recipe: Recipe, direction: Direction, iteration: int, digest: str | None = None
) -> Model:
    """Write a trained model and the release that it was trained on; its weights are those of the base model."""
    name, dataset = f"{direction}-{iteration}", dataset_name(recipe.name, direction, iteration)
    plant(root, RELEASES, [{
        "release_id": dataset, "table": "gold.training_examples", "experiment": recipe.name, "iteration": iteration,
        "slice": predicate({"dataset": dataset}), "version": 0, "n_rows": 1, "content_digest": name,
        "expectations_report": None, "published_at": datetime(2026, 1, 1, tzinfo=UTC),
    }])  # fmt: skip
    model_id = f"{name}-{recipe.name}"
    model = Model(model_id, recipe.base_model, digest or hashlib.sha256(name.encode()).hexdigest(), recipe.base_model)
    plant(root, MODELS, [{
        "model_id": model_id, "experiment": recipe.name, "direction": direction, "iteration": iteration,
        "base_model": model.base_model, "path": model.path, "digest": model.digest, "dataset": dataset,
        "table_version": 0, "n_examples": 1, "content_digest": name,
        "config_digest": training_digest(recipe, direction, iteration), "metrics": {}, "run_id": "r",
    }])  # fmt: skip
    return model
