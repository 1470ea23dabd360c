"""A tiny random model for the tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.model_ops.killing import kill_at
from tests.tiny_model import save_model

# As the trainer sets it, and before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def kill() -> Iterator[Callable[[int | None], None]]:
    """Return a function that makes the training end in the middle of a step, from 1; given None, it ends no more."""
    with pytest.MonkeyPatch.context() as patch:
        yield lambda step: kill_at(patch, step)
