"""The servers of a recipe's models: its endpoints, or servers that we start and stop, here or on executors."""

import logging
import secrets
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.errors import WaitingError
from jobs.inference.executor_servers import ExecutorServers
from jobs.recipe.config import Inference, Recipe
from jobs.recipe.step import Servers
from model_ops.client.apis import Completions
from model_ops.client.endpoint import Endpoint, EndpointError, key_from_environment
from model_ops.client.engine import Engine
from model_ops.client.fake_engine import FakeEngine
from model_ops.client.handshake import HandshakeError, Patience, probe, require_parity
from model_ops.client.replies import Meaning
from model_ops.client.served_engine import ServedEngine
from model_ops.devices import gpus, served_dtype, shares
from model_ops.serving.local_servers import LocalServers
from model_ops.serving.model import Model
from model_ops.serving.settings import ServerOptions, ServerSettings
from model_ops.serving.vllm_server import SAME_FOR_ALL, VllmServer, require_finite, served_rank
from model_ops.text.chat import ChatFormat
from model_ops.training.checkpoints import MANIFEST, read_manifest

log = logging.getLogger(__name__)

OwnServers = LocalServers | ExecutorServers


@dataclass(frozen=True)
class EngineServers:
    """One in-process engine instead of servers, for `inference.engine = "fake"` and for tests."""

    inference: Inference
    engine: Engine

    def engine_for(self, model: Model, window: int) -> Engine:
        """Return the same engine for every model."""
        return self.engine

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return no endpoints."""
        return ()

    def n_servers(self) -> int:
        """Count the engine as one server."""
        return 1

    def n_held_cores(self) -> int:
        """Return 0; an engine holds no core."""
        return 0

    def chat_template_digest(self, model: Model) -> str:
        """Return a constant, since there is no chat template."""
        return "fake"

    def stop(self) -> None:
        """Do nothing, since there is no server."""


def servers_of(recipe: Recipe, spark: SparkSession, logs: Path) -> Servers:
    """Return the servers of a recipe's models; servers that we start write their output to the folder `logs`."""
    if recipe.inference.engine == "fake":
        return EngineServers(recipe.inference, FakeEngine())
    return RecipeServers(recipe, spark, logs)


@dataclass(frozen=True)
class Machine:
    """This machine's resources for servers that we start, and the means to reach servers."""

    gpus: tuple[str, ...]
    """Names as in CUDA_VISIBLE_DEVICES."""
    server: type[VllmServer] = VllmServer
    connect: Callable[[str, str | None], Endpoint] = Endpoint
    key: str | None = None
    """The API key that the user has set."""
    pause: Callable[[float], None] = time.sleep


def this_machine() -> Machine:
    """Describe the machine that this process runs on."""
    return Machine(gpus(), key=key_from_environment())


class RecipeServers:
    """The recipe's endpoints, or servers started by this run for one model (or one base with adapters) at a time."""

    def __init__(self, recipe: Recipe, spark: SparkSession | None, logs: Path, machine: Machine | None = None) -> None:
        """Start nothing yet; `spark` is needed for servers on executors only."""
        self.inference = recipe.inference
        self._recipe, self._spark, self._logs = recipe, spark, logs
        self._machine = machine or this_machine()
        # Without a key, anyone who reaches the port of our server could change what it answers.
        self._own_key = self._machine.key or secrets.token_urlsafe()
        self._own_servers: OwnServers | None = None
        self._patience = Patience(recipe.inference.patience, recipe.inference.attempts, self._machine.pause)

    def engine_for(self, model: Model, window: int) -> Engine:
        """Return an engine for `model` whose servers passed the probe; start or replace servers first.

        Raises:
            WaitingError: no endpoint of the recipe serves the model; the message gives the command that does.
            JobError: a Spark setting rules out servers on executors.
            ServerError: one of our own servers did not start.
            EndpointError: no server answers for `inference.patience` seconds, or one fails the probe.
        """
        chat = _chat_format(model.path)
        serving = self.serving(model)
        limits = self._patience.of_silence.wait_for(lambda: self._probe_all(serving, model, chat))
        adapter = self._adapter(model)
        return ServedEngine(
            endpoints=tuple(endpoint.url for endpoint in limits),
            api=Completions(model.model_id, chat, min(limits.values())),
            window=window,
            timeout=self.inference.timeout,
            patience=self.inference.patience,
            attempts=self.inference.attempts,
            adapter=str(adapter) if adapter else None,
            key=next(iter(limits)).key,
        )

    def _probe_all(self, serving: tuple[Endpoint, ...], model: Model, chat: ChatFormat) -> dict[Endpoint, int]:
        """Probe the servers; return those that pass, each with its maximum context in tokens, and log the others.

        Raises:
            HandshakeError: a server answers, but not as the probe requires.
            EndpointError: no server answers.
        """
        limits, faults = {}, []
        for endpoint in serving:
            try:
                limits[endpoint] = self._patience.brief.wait_for(partial(self._probe_endpoint, endpoint, model, chat))
            except HandshakeError:
                raise
            except EndpointError as fault:
                faults.append(fault)
        if not limits:
            raise _likely_temporary(faults)
        _log_skipped(faults)
        return limits

    def _probe_endpoint(self, endpoint: Endpoint, model: Model, chat: ChatFormat) -> int:
        try:
            limit = probe(endpoint, model.model_id, chat)
            require_parity(endpoint, model.model_id, _reference(model.path))
        except EndpointError as error:
            if self._own_servers and not self._own_servers.alive:
                raise HandshakeError(f"{error}; its process has ended, see the logs in {self._logs}") from error
            raise
        log.info("probed endpoint=%s version=%s max_model_len=%d", endpoint.url, endpoint.version(), limit)
        return limit

    def serving(self, model: Model) -> tuple[Endpoint, ...]:
        """Return the servers of `model`: endpoints of the recipe, or servers that this run starts."""
        if self._recipe.serving.endpoints:
            return self._patience.of_silence.wait_for(lambda: self._endpoints_serving(model))
        if self._recipe.serving.executors:
            return self._on_executors(model)
        return self._local(model)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the recipe's endpoints, or those of the running servers that this run has started."""
        if self._recipe.serving.endpoints:
            return tuple(self._machine.connect(url, self._machine.key) for url in self._recipe.serving.endpoints)
        urls = self._own_servers.endpoints if self._own_servers else ()
        return tuple(self._machine.connect(url, self._own_key) for url in urls)

    def n_servers(self) -> int:
        """Return the number of servers that share a model's requests."""
        serving = self._recipe.serving
        return len(serving.endpoints) or serving.executors or len(shares(self._machine.gpus, serving.gpus)) or 1

    def n_held_cores(self) -> int:
        """Return the number of Spark's cores that servers on executors hold, one each."""
        return self._recipe.serving.executors

    def chat_template_digest(self, model: Model) -> str:
        """Return the SHA-256, in hex, of the chat template stored with the model's weights."""
        return _chat_format(model.path).digest

    def stop(self) -> None:
        """Stop the servers that this run has started."""
        servers, self._own_servers = self._own_servers, None
        if servers:
            servers.stop()
            log.info("servers stopped model=%s", servers.name)

    def _adapter(self, model: Model) -> Path | None:
        """Return the folder of the model's adapter, if it has one and the recipe can serve it."""
        folder = Path(model.path) / "adapter"
        # A judge that the recipe names may have another base.
        has_same_base = Path(model.base_model).resolve() == Path(self._recipe.base_model).resolve()
        return folder if self._recipe.serving.mode == "adapters" and has_same_base and folder.is_dir() else None

    def _local(self, model: Model) -> tuple[Endpoint, ...]:
        """Serve the model on this machine: on GPUs as an adapter beside others, else merged and alone."""
        adapter = self._adapter(model)
        # On a CPU an adapter is 14 times slower than a merged model.
        if adapter is None or not self._machine.gpus:
            return self._serve(model.path, model.model_id)
        require_finite(adapter)
        serving = self._serve(self._recipe.base_model, "base", lora_rank=self._recipe.finetune.lora_rank)
        for endpoint in serving:
            if not self._patience.wait_for(partial(_serves, endpoint, model.model_id, adapter)):
                raise HandshakeError(
                    f"{endpoint.url} can't load the adapter {adapter}; try --set 'serving.mode=\"merged\"'"
                )
        return serving

    def _serve(self, folder: str, name: str, lora_rank: int | None = None) -> tuple[Endpoint, ...]:
        """Return our servers on this machine; start them in place of others unless they serve `name` already."""
        own = self._own_servers
        if isinstance(own, LocalServers) and own.name == name and own.alive:
            return self.endpoints()
        dtype = served_dtype(self._recipe.serving.dtype)
        overrides = {"dtype": dtype, "lora_rank": lora_rank, "key": self._own_key}
        settings = server_settings(self._recipe).model_copy(update=overrides)
        servers = LocalServers(folder, name, settings, self._logs, self._machine.gpus, self._machine.server)
        return self._start(servers, f"dtype={dtype} logs={self._logs}")

    def _on_executors(self, model: Model) -> tuple[Endpoint, ...]:
        """Return our servers of the merged model on Spark's executors; start them unless they are running."""
        own = self._own_servers
        if isinstance(own, ExecutorServers) and own.name == model.model_id and own.alive:
            return self.endpoints()
        assert self._spark is not None, "servers on executors need a session"
        settings, n = server_settings(self._recipe), self._recipe.serving.executors
        settings = settings.model_copy(update={"key": self._own_key})
        servers = ExecutorServers(self._spark, model.path, model.model_id, settings, n)
        return self._start(servers, f"n={n} on Spark's executors")

    def _start(self, servers: OwnServers, description: str) -> tuple[Endpoint, ...]:
        """Start `servers` in place of our current ones, and return their endpoints."""
        self.stop()
        log.info("servers starting model=%s %s", servers.name, description)
        servers.start()
        self._own_servers = servers
        log.info("servers ready model=%s endpoints=%s", servers.name, ",".join(servers.endpoints))
        return self.endpoints()

    def _endpoints_serving(self, model: Model) -> tuple[Endpoint, ...]:
        """Select the recipe's endpoints that serve the model or can load its adapter, and log the others.

        Raises:
            WaitingError: no endpoint serves the model.
            HandshakeError: no endpoint answers.
        """
        serving, faults, without_model = [], list[EndpointError](), ""
        adapter = self._adapter(model)
        for endpoint in self.endpoints():
            try:
                if self._patience.brief.wait_for(partial(_serves, endpoint, model.model_id, adapter)):
                    serving.append(endpoint)
                    continue
                without_model = endpoint.url
                faults.append(HandshakeError(f"{endpoint.url} does not serve {model.model_id}"))
            except EndpointError as fault:
                faults.append(fault)
        if serving:
            _log_skipped(faults)
            return tuple(serving)
        if not without_model:
            temporary_fault = _likely_temporary(faults)
            raise HandshakeError(str(temporary_fault), temporary_fault.means)
        raise WaitingError(_how_to_serve(self._recipe, model, without_model))


def _likely_temporary(faults: list[EndpointError]) -> EndpointError:
    """Return the first fault that may be temporary, else the first."""
    return min(faults, key=lambda fault: fault.means is not Meaning.BUSY)


def _log_skipped(faults: list[EndpointError]) -> None:
    for fault in faults:
        log.warning("left out: %s", fault)


def _serves(endpoint: Endpoint, name: str, adapter: Path | None) -> bool:
    """Return whether a server has the model, after loading its adapter if need be."""
    return name in endpoint.served_models() or (adapter is not None and endpoint.load_adapter(name, adapter))


@cache
def _reference(path: str) -> list[dict[str, list[int]]]:
    """Return the greedy answers that a model's training recorded; none for a model of another program."""
    folder = Path(path)
    return read_manifest(folder).reference if (folder / MANIFEST).is_file() else []


@cache
def _chat_format(model_path: str) -> ChatFormat:
    """Load the chat format stored with a model's weights; it never changes."""
    return ChatFormat.load(model_path)


def server_settings(recipe: Recipe) -> ServerSettings:
    """Build the settings of the servers that we start for a recipe."""
    options = recipe.serving.model_dump(include=set(ServerOptions.model_fields))
    return ServerSettings(**options | {"max_num_seqs": options["max_num_seqs"] or recipe.inference.in_flight})


def _how_to_serve(recipe: Recipe, model: Model, endpoint: str) -> str:
    """Build the message that says how to serve the model on the machine of an endpoint."""
    settings = server_settings(recipe)
    limits = ["--max-model-len", str(settings.max_model_len), "--max-num-seqs", str(settings.max_num_seqs)]
    merged = ["vllm", "serve", model.path, "--served-model-name", model.model_id, *limits, *SAME_FOR_ALL]
    rank = str(served_rank(recipe.finetune.lora_rank))
    base = ["vllm", "serve", recipe.base_model, "--enable-lora", "--max-lora-rank", rank, *limits, *SAME_FOR_ALL]
    return (
        f"{endpoint} does not serve {model.model_id}; on that machine, with a copy of {model.path}, run: "
        f"{shlex.join(merged)} (or, for adapters, with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 set: {shlex.join(base)}); "
        "then run the same humpback command again"
    )
