"""Where a model is served: adapters beside each other on a GPU, one merged model at a time without, or endpoints."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.errors import WaitingError
from jobs.inference.serving import Machine, RecipeServers, server_settings
from jobs.recipe.config import Recipe
from model_ops.client.endpoint import Endpoint, EndpointError
from model_ops.client.handshake import HandshakeError
from model_ops.client.served_engine import ServedEngine
from model_ops.serving.local_servers import LocalServers
from model_ops.serving.model import Model
from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import ServerError, VllmServer
from tests.model_ops.fake_server import RESET, Reply, Script, completion, serving
from tests.tiny_model import save_tokenizer


class Process(VllmServer):
    """A server without a process that records its calls."""

    def __init__(self, *facts: object, done: "Done") -> None:
        super().__init__(*facts)  # type: ignore[arg-type]
        self.done = done

    @property
    def alive(self) -> bool:
        return self.name not in self.done.dead

    def launch(self) -> None:
        self.done.launched.append(self)

    def wait(self, on_wait: object = None) -> None:
        if self.settings.port == self.done.fails_on_port:
            raise ServerError("ended at start")

    def stop(self) -> None:
        self.done.stopped.append(self.settings.port)


@dataclass
class Done:
    """Record of the calls to fake servers, and the behaviour set for them."""

    launched: list[Process] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    fails_on_port: int | None = None
    loaded: list[tuple[str, str]] = field(default_factory=list)
    serves: Mapping[str, dict[str, int] | None] = field(default_factory=dict)
    """Address -> the models served there; None for a server that does not answer."""
    refuses: tuple[str, ...] = ()
    """Addresses at which no adapter can be loaded."""
    paused: list[float] = field(default_factory=list)
    """Length of each pause, in seconds."""

    def machine(self, *gpus: str) -> Machine:
        """Return a machine with these GPUs and fake servers."""
        server, connect = partial(Process, done=self), partial(Reached, done=self)
        return Machine(gpus, server, connect, pause=self.paused.append)  # type: ignore[arg-type]

    def started(self) -> list[tuple[str, str, int | None]]:
        """Return folder, name and LoRA rank of each started server."""
        return [(s.model_dir, s.name, s.settings.lora_rank) for s in self.launched]


@dataclass(frozen=True)
class Reached(Endpoint):
    """An endpoint without a server, which answers as `done` says."""

    done: Done = field(default_factory=Done)

    def served_models(self) -> dict[str, int]:
        found = self.done.serves.get(self.url, {name: 2048 for url, name in self.done.loaded if url == self.url})
        if found is None:
            raise EndpointError(f"{self.url} does not answer")
        return found

    def load_adapter(self, name: str, adapter: Path) -> bool:
        if self.url in self.done.refuses:
            return False
        self.done.loaded.append((self.url, name))
        return True


def model(folder: Path, name: str) -> Model:
    (folder / name / "adapter").mkdir(parents=True)
    return Model(name, str(folder / name), "d", "the-base")


def recipe(**sections: object) -> Recipe:
    return Recipe.model_validate({"name": "x", "base_model": "the-base"} | sections)


def served(folder: Path, done: Done, *models: Model, gpus: tuple[str, ...] = (), mode: str = "adapters") -> None:
    servers = RecipeServers(recipe(serving={"mode": mode}), None, folder, done.machine(*gpus))
    for each in models:
        servers.serving(each)


def test_with_a_gpu_one_server_takes_every_adapter(tmp_path: Path) -> None:
    done, one, other = Done(), model(tmp_path, "m-1"), model(tmp_path, "m-2")
    served(tmp_path, done, one, other, one, gpus=("0",))
    assert done.started() == [("the-base", "base", 16)]
    assert [name for _, name in done.loaded] == ["m-1", "m-2"]


@pytest.mark.parametrize(("gpus", "mode"), [((), "adapters"), (("0",), "merged")])
def test_without_a_gpu_or_in_merged_mode_each_model_has_a_server(
    tmp_path: Path, gpus: tuple[str, ...], mode: str
) -> None:
    done, one, other = Done(), model(tmp_path, "m-1"), model(tmp_path, "m-2")
    served(tmp_path, done, one, one, other, gpus=gpus, mode=mode)
    assert done.started() == [(one.path, "m-1", None), (other.path, "m-2", None)]
    assert not done.loaded


@pytest.mark.parametrize(("given", "at_once"), [({}, 256), ({"max_num_seqs": 64}, 64)])
def test_max_num_seqs_defaults_to_in_flight(given: dict[str, int], at_once: int) -> None:
    assert server_settings(recipe(serving=given, inference={"in_flight": 256})).max_num_seqs == at_once


def test_base_model_paths_are_compared_resolved(tmp_path: Path) -> None:
    done = Done()
    same = replace(model(tmp_path, "m-1"), base_model=str(Path("the-base").absolute()) + "/")
    served(tmp_path, done, same, gpus=("0",))
    assert done.started() == [("the-base", "base", 16)]


def test_the_adapter_of_another_base_model_is_served_merged(tmp_path: Path) -> None:
    done, judge = Done(), replace(model(tmp_path, "m-1"), base_model="another-base")
    served(tmp_path, done, judge, gpus=("0",))
    assert done.started() == [(judge.path, "m-1", None)]


def test_a_server_that_has_died_is_started_again(tmp_path: Path) -> None:
    done, one = Done(), model(tmp_path, "m-1")
    servers = RecipeServers(recipe(serving={"mode": "merged"}), None, tmp_path, done.machine())
    servers.serving(one)
    done.dead.append("m-1")
    servers.serving(one)
    assert done.started() == [(one.path, "m-1", None)] * 2
    servers.stop()
    assert servers.endpoints() == ()


@pytest.mark.parametrize(("each", "shares"), [(1, [("2",), ("5",), ("7",)]), (2, [("2", "5")])])
def test_every_share_of_the_gpus_has_a_server(tmp_path: Path, each: int, shares: list[tuple[str, ...]]) -> None:
    done = Done()
    servers = RecipeServers(recipe(serving={"gpus": each}), None, tmp_path, done.machine("2", "5", "7"))
    found = [endpoint.url for endpoint in servers.serving(model(tmp_path, "m-1"))]
    assert found == [f"http://127.0.0.1:{8765 + n}/v1" for n in range(len(shares))]
    assert done.loaded == [(endpoint, "m-1") for endpoint in found]
    assert servers.n_servers() == len(shares)
    assert [server.settings.devices for server in done.launched] == shares
    assert len({server.log for server in done.launched}) == len(shares)
    assert [("--tensor-parallel-size" in server.command()) for server in done.launched] == [each > 1] * len(shares)


def test_our_servers_require_a_random_key(tmp_path: Path) -> None:
    done = Done()
    servers = RecipeServers(recipe(serving={"mode": "merged"}), None, tmp_path, done.machine())
    shown = [servers.serving(model(tmp_path, name))[0].key for name in ("m-1", "m-2")]
    wanted = [server.settings.key for server in done.launched]
    assert shown == wanted == [shown[0]] * 2
    assert len(shown[0] or "") > 40
    other = RecipeServers(recipe(), None, tmp_path, done.machine())
    assert other.serving(model(tmp_path, "m-3"))[0].key != shown[0]
    users = replace(done.machine(), key="the user's")
    assert RecipeServers(recipe(), None, tmp_path, users).serving(model(tmp_path, "m-4"))[0].key == "the user's"


def test_more_gpus_than_there_are_is_an_error(tmp_path: Path) -> None:
    settings = server_settings(recipe(serving={"gpus": 2}))
    with pytest.raises(ServerError, match=r"serving\.gpus=2: this machine has only"):
        LocalServers("m", "m-1", settings, tmp_path, ("0",))


def test_if_one_server_does_not_start_all_are_stopped(tmp_path: Path) -> None:
    done = Done(fails_on_port=8766)
    servers = RecipeServers(recipe(serving={"mode": "merged"}), None, tmp_path, done.machine("0", "1"))
    with pytest.raises(ServerError, match="ended at start"):
        servers.serving(model(tmp_path, "m-1"))
    assert done.stopped == [8765, 8766]
    assert servers.endpoints() == ()


def test_an_adapter_that_does_not_load_is_named(tmp_path: Path) -> None:
    done = Done(refuses=("http://127.0.0.1:8765/v1",))
    with pytest.raises(HandshakeError, match=r"can't load the adapter .*/m-1/adapter"):
        served(tmp_path, done, model(tmp_path, "m-1"), gpus=("0",))


def used(mode: str, there: dict[str, dict[str, int] | None], folder: Path) -> list[str]:
    """Return the endpoints that a run uses of those in `there`: endpoint -> names served, None for no answer."""
    refuses = tuple(url for url in there if url != "http://loads/v1")
    section = {"mode": mode, "endpoints": [*there]}
    machine = Done(serves=there, refuses=refuses).machine()
    servers = RecipeServers(recipe(serving=section), None, folder, machine)
    return [endpoint.url for endpoint in servers.serving(model(folder, "m-1"))]


def test_endpoints_that_serve_or_load_the_model_are_used(tmp_path: Path) -> None:
    there = {"http://has/v1": {"m-1": 512}, "http://loads/v1": {}, "http://dead/v1": None, "http://other/v1": {"x": 1}}
    assert used("adapters", there, tmp_path) == ["http://has/v1", "http://loads/v1"]


def test_if_no_endpoint_serves_the_model_the_command_is_given(tmp_path: Path) -> None:
    with pytest.raises(WaitingError, match=r"http://loads/v1 does not serve m-1; .* --served-model-name m-1"):
        used("merged", {"http://loads/v1": {}, "http://dead/v1": None}, tmp_path)


def test_if_no_endpoint_answers_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(HandshakeError, match="http://dead/v1 does not answer"):
        used("merged", {"http://dead/v1": None}, tmp_path)
    assert done_of_silence(tmp_path) > 250


def done_of_silence(folder: Path) -> float:
    """Return the seconds of pauses between requests to an endpoint that does not answer."""
    done = Done(serves={"http://dead/v1": None})
    servers = RecipeServers(recipe(serving={"endpoints": ["http://dead/v1"]}), None, folder, done.machine())
    with pytest.raises(HandshakeError):
        servers.serving(model(folder, "m-2"))
    return sum(done.paused)


def sound(path: str, body: dict[str, Any] | None, number: int) -> Reply:
    """Answer as a sound server does in a handshake."""
    if path == "/v1/models":
        return 200, {}, {"data": [{"id": "m-1", "max_model_len": 512}]}
    if body is None:
        return 404, {}, {}
    labels = {f"token_id:{token}": -1.0 for token in body.get("logprob_token_ids", ())}
    span = [None, *({str(token): {"logprob": -1.0}} for token in body["prompt"][1:])]
    text = "zq" if "structured_outputs" in body else "Yes"
    return completion(text, prompt_logprobs=span, logprobs={"top_logprobs": [labels]})


def found(folder: Path, *scripts: Script, **inference: float) -> tuple[str, ...]:
    """Return the numbers of the servers that an engine uses for a model, after a handshake with each."""
    one = model(folder, "m-1")
    save_tokenizer(Path(one.path))
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(script)) for script in scripts]
        given = recipe(serving={"endpoints": urls, "mode": "merged"}, inference=inference)
        servers = RecipeServers(given, None, folder, Machine((), pause=lambda seconds: None))
        engine = servers.engine_for(one, 1)
        assert isinstance(engine, ServedEngine)
        return tuple(str(urls.index(url)) for url in engine.endpoints)


BUSY: Reply = (429, {"Retry-After": "1"}, {})


def after(n: int, fault: Reply, path_of_fault: str = "/v1/models") -> Script:
    """Return a sound server whose first `n` replies at a path are `fault`."""
    left = [n]

    def script(path: str, body: dict[str, Any] | None, number: int) -> Reply:
        if path == path_of_fault and left[0] > 0:
            left[0] -= 1
            return fault
        return sound(path, body, number)

    return script


@pytest.mark.parametrize("path", ["/v1/models", "/v1/completions"])
@pytest.mark.parametrize("fault", [BUSY, (503, {}, {}), (RESET, {}, None)], ids=["429", "503", "reset"])
def test_a_temporary_fault_at_the_first_probe_is_retried(tmp_path: Path, path: str, fault: Reply) -> None:
    assert found(tmp_path, after(1, fault, path)) == ("0",)


def test_a_busy_server_is_waited_for_if_it_is_the_only_one(tmp_path: Path) -> None:
    assert found(tmp_path, after(60, BUSY)) == ("0",)


def test_only_answering_servers_are_used(tmp_path: Path) -> None:
    assert found(tmp_path, after(1, BUSY), after(10**6, BUSY), sound) == ("0", "2")


def test_a_server_lost_during_the_handshake_is_left_out(tmp_path: Path) -> None:
    assert found(tmp_path, after(10**6, BUSY, "/v1/completions"), sound) == ("1",)


def test_a_wrong_key_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(HandshakeError, match=r"HTTP 401: .*; set HUMPBACK_API_KEY, or .*, to the server's key"):
        found(tmp_path, after(1, (401, {}, {})))


def test_without_patience_a_job_ends_at_once(tmp_path: Path) -> None:
    with pytest.raises(HandshakeError, match="HTTP 503"):
        found(tmp_path, after(1, (503, {}, {})), patience=0)


def test_a_dead_server_of_ours_is_not_waited_for(tmp_path: Path) -> None:
    done, one = Done(dead=["m-1"]), model(tmp_path, "m-1")
    save_tokenizer(Path(one.path))
    machine = replace(done.machine(), connect=Endpoint)
    servers = RecipeServers(recipe(serving={"mode": "merged", "port": 9}), None, tmp_path, machine)
    with pytest.raises(HandshakeError, match=r"does not answer .* its process has ended, see the logs in "):
        servers.engine_for(one, 1)
    assert not done.paused


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "1"], "--port is humpback's own"),
        (["--max-model", "9"], r"--max-model is humpback's own \(--max-model-len\)"),
        (["--structured_outputs_config.backend=x"], "--structured-outputs-config is humpback's own"),
        (["--swap-space", "8", "--trust_remote_code"], "--trust-remote-code would run or load code"),
        (["--chat-template", "/x"], "--chat-template would run or load code"),
        (["-tp", "2"], "begins with '-tp'; the first word is an argument's name"),
        (["--swap-space", "8", "-tp"], "-tp is a short name; write the argument's name in full"),
    ],
)
def test_extra_arguments_leave_ours_and_code_alone(words: list[str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ServerSettings(max_num_seqs=1, extra=tuple(words))


def test_extra_arguments_come_last() -> None:
    settings = ServerSettings(max_num_seqs=1, extra=("--swap-space", "8", "--kv-cache-dtype=fp8"))
    command = VllmServer("m", "m", settings, Path("log")).command()
    assert command[-3:] == ["--swap-space", "8", "--kv-cache-dtype=fp8"]
