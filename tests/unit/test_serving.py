"""What our own server serves: adapters beside each other on a GPU, one merged model at a time without."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import serving
from jobs.config import Recipe
from jobs.models import Model
from model_ops.handshake import HandshakeError
from model_ops.vllm_server import VllmServer

LOADED: list[str] = []


@pytest.fixture(autouse=True)
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, int | None]]]:
    """Each server that would be started: its folder, name and LoRA rank."""
    started: list[tuple[str, str, int | None]] = []
    monkeypatch.setattr(VllmServer, "start", lambda s: started.append((s.model_dir, s.name, s.settings.lora_rank)))
    monkeypatch.setattr(serving, "served_models", lambda endpoint: dict.fromkeys(LOADED, 2048))
    monkeypatch.setattr(serving, "load_adapter", lambda endpoint, name, adapter: not LOADED.append(name))
    LOADED.clear()
    yield started
    serving.stop()


def model(folder: Path, name: str) -> Model:
    (folder / name / "adapter").mkdir(parents=True)
    return Model(name, str(folder / name), "d")


def start(folder: Path, *models: Model, mode: str = "adapters") -> None:
    recipe = Recipe.model_validate({"name": "x", "base_model": "the-base", "serving": {"mode": mode}})
    for each in models:
        serving._start_local(recipe, each, folder)


def test_with_a_gpu_one_server_takes_every_adapter(
    tmp_path: Path, servers: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "has_gpu", lambda: True)
    one, other = model(tmp_path, "m-1"), model(tmp_path, "m-2")
    start(tmp_path, one, other, one)
    assert servers == [("the-base", "base", 16)]
    assert LOADED == ["m-1", "m-2"]


@pytest.mark.parametrize(("gpu", "mode"), [(False, "adapters"), (True, "merged")])
def test_without_one_or_when_told_each_merged_model_has_its_server(
    tmp_path: Path, servers: list[object], monkeypatch: pytest.MonkeyPatch, gpu: bool, mode: str
) -> None:
    monkeypatch.setattr(serving, "has_gpu", lambda: gpu)
    one, other = model(tmp_path, "m-1"), model(tmp_path, "m-2")
    start(tmp_path, one, one, other, mode=mode)
    assert servers == [(one.path, "m-1", None), (other.path, "m-2", None)]
    assert not LOADED


def test_an_adapter_that_does_not_load_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "has_gpu", lambda: True)
    monkeypatch.setattr(serving, "load_adapter", lambda *_: False)
    with pytest.raises(HandshakeError, match=r"can't load the adapter .*/m-1/adapter"):
        start(tmp_path, model(tmp_path, "m-1"))
