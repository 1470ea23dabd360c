"""What our own server serves: adapters beside each other on a GPU, one merged model at a time without."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.current.models import Model
from jobs.errors import WaitingError
from jobs.inference import serving
from jobs.recipe.config import Recipe
from model_ops import devices
from model_ops.client.endpoint import KEY, EndpointError
from model_ops.client.handshake import HandshakeError
from model_ops.serving import local_servers
from model_ops.serving.vllm_server import ServerError, ServerSettings, VllmServer

LOADED: list[str] = []
DEAD: list[str] = []


@pytest.fixture(autouse=True)
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, int | None]]]:
    """Each server that would be started: its folder, name and LoRA rank."""
    started: list[tuple[str, str, int | None]] = []
    monkeypatch.setattr(VllmServer, "launch", lambda s: started.append((s.model_dir, s.name, s.settings.lora_rank)))
    monkeypatch.setattr(VllmServer, "wait", lambda s: None)
    monkeypatch.setattr(VllmServer, "alive", property(lambda s: s.name not in DEAD))
    monkeypatch.setattr(serving, "served_models", lambda endpoint: dict.fromkeys(LOADED, 2048))
    monkeypatch.setattr(serving, "load_adapter", lambda endpoint, name, adapter: not LOADED.append(name))
    monkeypatch.setenv(KEY, "")
    LOADED.clear()
    DEAD.clear()
    yield started
    serving.stop()


def model(folder: Path, name: str) -> Model:
    (folder / name / "adapter").mkdir(parents=True)
    return Model(name, str(folder / name), "d", "the-base")


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


@pytest.mark.parametrize(("given", "at_once"), [({}, 256), ({"max_num_seqs": 64}, 64)])
def test_our_server_computes_all_at_once_that_one_wave_keeps_open_unless_told(
    given: dict[str, int], at_once: int
) -> None:
    recipe = {"name": "x", "base_model": "the-base", "serving": given, "inference": {"in_flight": 256}}
    assert serving._settings(Recipe.model_validate(recipe)).max_num_seqs == at_once


def test_a_base_model_is_the_same_however_its_folder_is_written(
    tmp_path: Path, servers: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "has_gpu", lambda: True)
    start(tmp_path, replace(model(tmp_path, "m-1"), base_model=str(Path("the-base").absolute()) + "/"))
    assert servers == [("the-base", "base", 16)]


def test_the_adapter_of_another_base_model_is_served_merged(
    tmp_path: Path, servers: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "has_gpu", lambda: True)
    judge = replace(model(tmp_path, "m-1"), base_model="another-base")
    start(tmp_path, judge)
    assert servers == [(judge.path, "m-1", None)]


def test_a_server_that_has_died_is_started_again(tmp_path: Path, servers: list[object]) -> None:
    one = model(tmp_path, "m-1")
    start(tmp_path, one, mode="merged")
    DEAD.append("m-1")
    start(tmp_path, one, mode="merged")
    assert servers == [(one.path, "m-1", None)] * 2


@pytest.mark.parametrize(("each", "shares"), [(1, [("2",), ("5",), ("7",)]), (2, [("2", "5")])])
def test_every_share_of_the_gpus_has_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, each: int, shares: list[tuple[str, ...]]
) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: ("2", "5", "7"))
    loaded: list[tuple[str, str]] = []
    monkeypatch.setattr(serving, "load_adapter", lambda *of: not loaded.append(of[:2]))
    recipe = Recipe.model_validate({"name": "x", "base_model": "the-base", "serving": {"gpus": each}})
    found = serving._start_local(recipe, model(tmp_path, "m-1"), tmp_path)
    assert found == tuple(f"http://127.0.0.1:{8765 + n}/v1" for n in range(len(shares)))
    assert loaded == [(endpoint, "m-1") for endpoint in found]
    assert serving.n_servers(recipe) == len(shares)
    assert isinstance(serving._servers, local_servers.LocalServers)
    servers = serving._servers.servers
    assert [server.settings.devices for server in servers] == shares
    assert len({server.log for server in servers}) == len(shares)
    assert [("--tensor-parallel-size" in server.command()) for server in servers] == [each > 1] * len(shares)


def test_our_own_servers_want_a_key_that_nobody_else_has(tmp_path: Path) -> None:
    keys = []
    for name in ("m-1", "m-2"):
        start(tmp_path, model(tmp_path, name), mode="merged")
        assert isinstance(serving._servers, local_servers.LocalServers)
        keys += [server.settings.key for server in serving._servers.servers]
    assert keys == [os.environ[KEY]] * 2
    assert len(keys[0] or "") > 40


def test_more_gpus_than_there_are_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: ("0",))
    settings = ServerSettings(8765, "bfloat16", 64, 1, True, 60, 1, gpus=2)
    with pytest.raises(ServerError, match=r"serving\.gpus=2: this machine has fewer GPUs"):
        local_servers.LocalServers("m", "m-1", settings, tmp_path)


def test_where_one_does_not_start_none_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: ("0", "1"))
    stopped: list[int] = []
    monkeypatch.setattr(VllmServer, "stop", lambda s: stopped.append(s.settings.port))

    def ends(server: VllmServer) -> None:
        if server.settings.port == 8766:
            raise ServerError("ended at start")

    monkeypatch.setattr(VllmServer, "wait", ends)
    with pytest.raises(ServerError, match="ended at start"):
        start(tmp_path, model(tmp_path, "m-1"), mode="merged")
    assert stopped == [8765, 8766]
    assert serving._servers is None


def test_an_adapter_that_does_not_load_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "has_gpu", lambda: True)
    monkeypatch.setattr(serving, "load_adapter", lambda *_: False)
    with pytest.raises(HandshakeError, match=r"can't load the adapter .*/m-1/adapter"):
        start(tmp_path, model(tmp_path, "m-1"))


def served(recipe_mode: str, there: dict[str, dict[str, int] | None], folder: Path) -> tuple[str, ...]:
    """The endpoints that are used of some, each of which serves these names, or does not answer."""

    def names(endpoint: str) -> dict[str, int]:
        if (found := there[endpoint]) is None:
            raise EndpointError(f"{endpoint} does not answer")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "served_models", names)
        patch.setattr(serving, "load_adapter", lambda endpoint, name, adapter: endpoint == "http://loads/v1")
        section = {"mode": recipe_mode, "endpoints": [*there]}
        recipe = Recipe.model_validate({"name": "x", "base_model": "the-base", "serving": section})
        return serving._serving(recipe, model(folder, "m-1"))


def test_endpoints_that_serve_the_model_or_can_are_used(tmp_path: Path) -> None:
    there = {"http://has/v1": {"m-1": 512}, "http://loads/v1": {}, "http://dead/v1": None, "http://other/v1": {"x": 1}}
    assert served("adapters", there, tmp_path) == ("http://has/v1", "http://loads/v1")


def test_where_none_does_the_command_is_said(tmp_path: Path) -> None:
    with pytest.raises(WaitingError, match=r"http://loads/v1 does not serve m-1; .* --served-model-name m-1"):
        served("merged", {"http://loads/v1": {}, "http://dead/v1": None}, tmp_path)


def test_where_none_answers_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="http://dead/v1 does not answer"):
        served("merged", {"http://dead/v1": None}, tmp_path)
