"""Checkpoints of an unfinished training: written whole or not at all, and read by the same training only."""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from model_ops.training.settings import TrainingError

log = logging.getLogger(__name__)

KEPT = 2
"""Checkpoints that are kept, so that one is left if the newest is damaged."""
FACTS, UNFINISHED = "facts.json", "unfinished"


@dataclass(frozen=True)
class Facts:
    """The state of a training beside its weights, optimizer and schedule, and the sizes of their files."""

    inputs: dict[str, Any]
    """The rows, base model and settings of the training."""
    n_processes: int
    step: int
    """Optimizer steps done."""
    seconds: float
    """Time spent on them."""
    n_tokens: int
    """Tokens trained on, without padding."""
    losses: dict[str, float]
    """The sums from which Trainer computes the losses that it reports."""
    files: dict[str, int]
    """Name of each file in the checkpoint -> its size in bytes."""


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training in a folder beside its model's; they are removed when the model is there."""

    folder: Path
    inputs: dict[str, Any]

    @property
    def unfinished(self) -> Path:
        """Folder in which a checkpoint is written."""
        return self.folder / UNFINISHED

    @cached_property
    def start(self) -> tuple[Path, Facts] | None:
        """The checkpoint that was `newest` when first asked for, with which a training begins."""
        return self.newest()

    def newest(self) -> tuple[Path, Facts] | None:
        """Return the newest complete checkpoint, or None; a damaged one is reported and passed over.

        Raises:
            TrainingError: it belongs to another training.
        """
        for folder in self._all():
            facts = _facts(folder)
            if isinstance(facts, str):
                log.warning("checkpoint %s is damaged and is not used: %s", folder, facts)
                continue
            differ = [name for name, value in self.inputs.items() if facts.inputs.get(name) != value]
            if differ:
                raise TrainingError(
                    f"checkpoint {folder} is of another training: {', '.join(differ)} differ; remove {self.folder}"
                )
            return folder, facts
        return None

    @contextmanager
    def writing(self, step: int, *, is_main: bool) -> Iterator[Path]:
        """Yield a folder for the checkpoint of a step; the main process publishes it afterwards by a rename."""
        folder = self.unfinished / f"checkpoint-{step}"
        yield folder
        if is_main:
            _flush(folder)
            later = [other for other in self._all() if _step(other) >= step]  # damaged ones, which were passed over
            for damaged in later:
                shutil.rmtree(damaged)
            os.replace(folder, self.folder / folder.name)
            _flush_folder(self.folder)
            for outdated in self._all()[KEPT:]:
                shutil.rmtree(outdated)

    def complete(self, folder: Path, **facts: Any) -> None:
        """Write the facts of a checkpoint, after all its other files."""
        files = {f.relative_to(folder).as_posix(): f.stat().st_size for f in folder.rglob("*") if f.is_file()}
        content = asdict(Facts(inputs=self.inputs, files=files, **facts))
        (folder / FACTS).write_text(json.dumps(content), encoding="utf-8")

    def clear_unfinished(self) -> None:
        """Remove a checkpoint that was not finished, and the folder if it is empty then."""
        shutil.rmtree(self.unfinished, ignore_errors=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def remove(self) -> None:
        """Remove all checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _all(self) -> list[Path]:
        """Return the folders of the checkpoints, the newest first."""
        return sorted(self.folder.glob("checkpoint-*"), key=_step, reverse=True)


def _step(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def _facts(folder: Path) -> Facts | str:
    """Read the facts of a checkpoint; if it is damaged, return a description of the damage."""
    try:
        facts = Facts(**json.loads((folder / FACTS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        return f"{FACTS}: {error}"
    for name, size in facts.files.items():
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != size:
            return f"{name} has {file.stat().st_size:,} of {size:,} bytes"
    return facts


def _flush(folder: Path) -> None:
    """Wait until the files of a folder are on the disk: after a power failure a renamed file may else be empty."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
