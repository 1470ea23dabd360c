"""Models for the tests: a tiny random one, and the demo's real one."""

import os
from pathlib import Path

import pytest

from model_ops.base_model import make_base_model
from model_ops.checkpoints import ModelFolderError
from tests.tiny_model import save_model

# As the trainer sets it, and before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "smollm2"
    try:
        make_base_model(folder)
    except ModelFolderError as error:
        pytest.skip(str(error))
    return folder
