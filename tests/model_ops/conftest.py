"""A tiny random model for the tests."""

import os
from pathlib import Path

import pytest

from tests.tiny_model import save_model

# As the trainer sets it, and before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "tiny")
