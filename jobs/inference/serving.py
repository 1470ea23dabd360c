"""Where a model answers: the recipe's endpoints, or servers that we start and stop, here or on executors."""

import logging
import os
import secrets
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path

from jobs.current.models import Model
from jobs.errors import WaitingError
from jobs.inference.executor_servers import ExecutorServers
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from model_ops.client.endpoint import KEY, Endpoint, EndpointError, key_from_environment
from model_ops.client.engine import Engine
from model_ops.client.fake_engine import FakeEngine
from model_ops.client.handshake import HandshakeError, probe
from model_ops.client.vllm_client import VllmEngine
from model_ops.devices import gpus_of_servers, has_gpu, served_dtype
from model_ops.serving.local_servers import LocalServers
from model_ops.serving.vllm_server import SAME_FOR_ALL, ServerSettings, served_rank
from model_ops.text.chat import ChatFormat

log = logging.getLogger(__name__)

_servers: LocalServers | ExecutorServers | None = None  # of one model at a time: a resource of the process


def engine_for(lake: Lake, recipe: Recipe, model: Model, window: int) -> Engine:
    """An engine for `model`, proven to answer as we need; starts or changes our own servers if need be.

    `window` is how many requests each copy of it keeps open.

    Raises:
        WaitingError: no endpoint of the recipe serves the model; the message says how to.
        JobError: Spark is set up in a way in which servers can't be started on its executors.
        ServerError, EndpointError: a server of our own did not start; one ignores what we ask for.
    """
    if recipe.inference.engine == "fake":
        return FakeEngine()
    if recipe.serving.endpoints:
        found = _serving(recipe, model)
    elif recipe.serving.executors:
        found = _start_on_executors(lake, recipe, model)
    else:
        found = _start_local(recipe, model, lake.folder("logs"))
    chat, inference = chat_format(model.path), recipe.inference
    limits = []
    for endpoint in (Endpoint(url, key_from_environment()) for url in found):
        limits.append(probe(endpoint, model.model_id, chat))
        log.info("probed endpoint=%s version=%s max_model_len=%d", endpoint.url, endpoint.version(), limits[-1])
    adapter = _adapter(recipe, model)
    return VllmEngine(
        endpoints=found,
        model=model.model_id,
        chat=chat,
        max_model_len=min(limits),
        window=window,
        timeout=inference.timeout,
        patience=inference.patience,
        attempts=inference.attempts,
        adapter=str(adapter) if adapter else None,
        key=key_from_environment(),
    )


def served_models(url: str) -> dict[str, int]:
    """The models that an endpoint serves, with the longest context of each."""
    return Endpoint(url, key_from_environment()).served_models()


def load_adapter(url: str, name: str, adapter: Path) -> bool:
    """Whether an endpoint has loaded an adapter."""
    return Endpoint(url, key_from_environment()).load_adapter(name, adapter)


@cache
def chat_format(model_path: str) -> ChatFormat:
    """The chat format that lies beside the model's weights."""
    return ChatFormat.load(model_path)


def endpoints(recipe: Recipe) -> tuple[str, ...]:
    """The servers that answer this process now: the recipe's, or its own."""
    return recipe.serving.endpoints or (_servers.endpoints if _servers else ())


def n_servers(recipe: Recipe) -> int:
    """How many servers the recipe's models have."""
    s = recipe.serving
    return len(s.endpoints) or s.executors or len(gpus_of_servers(s.gpus)) or 1


def stop() -> None:
    """Stop this process's own servers, if it has any."""
    global _servers
    servers, _servers = _servers, None
    if servers:
        servers.stop()
        log.info("servers stopped model=%s", servers.name)


def _adapter(recipe: Recipe, model: Model) -> Path | None:
    """The folder of the model's adapter, where it has one and the recipe wants adapters."""
    folder = Path(model.path) / "adapter"
    fits = Path(model.base_model).resolve() == Path(recipe.base_model).resolve()  # not so for each judge that is named
    return folder if recipe.serving.mode == "adapters" and fits and folder.is_dir() else None


def _start_local(recipe: Recipe, model: Model, logs: Path) -> tuple[str, ...]:
    """Serve the model here: as an adapter beside others where that is fast, else merged and alone."""
    adapter = _adapter(recipe, model)
    # On a CPU an adapter costs 14 times the speed of a merged model.
    if adapter is None or not has_gpu():
        return _serve(recipe, model.path, model.model_id, logs)
    found = _serve(recipe, recipe.base_model, "base", logs, lora_rank=recipe.finetune.lora_rank)
    for endpoint in found:
        if model.model_id not in served_models(endpoint) and not load_adapter(endpoint, model.model_id, adapter):
            raise HandshakeError(f"{endpoint} can't load the adapter {adapter}; try --set 'serving.mode=\"merged\"'")
    return found


def _serve(recipe: Recipe, folder: str, name: str, logs: Path, lora_rank: int | None = None) -> tuple[str, ...]:
    """Our servers' addresses; they are started, in place of others, unless they serve `name` already."""
    if isinstance(_servers, LocalServers) and _servers.name == name and _servers.alive:
        return _servers.endpoints
    dtype = served_dtype(recipe.serving.dtype)
    settings = replace(_settings(recipe), dtype=dtype, lora_rank=lora_rank, key=_own_key())
    return _started(LocalServers(folder, name, settings, logs), f"dtype={settings.dtype} logs={logs}")


def _start_on_executors(lake: Lake, recipe: Recipe, model: Model) -> tuple[str, ...]:
    """Servers of the merged model, unless they are there."""
    if isinstance(_servers, ExecutorServers) and _servers.name == model.model_id and _servers.alive:
        return _servers.endpoints
    settings, n = replace(_settings(recipe), key=_own_key()), recipe.serving.executors
    return _started(ExecutorServers(lake.spark, model.path, model.model_id, settings, n), f"n={n} on Spark's executors")


def _own_key() -> str:
    """What our own servers want to be shown: whoever else reaches their port could change what they answer."""
    key = os.environ[KEY] = os.environ.get(KEY) or secrets.token_urlsafe()
    return key


def _started(servers: LocalServers | ExecutorServers, where: str) -> tuple[str, ...]:
    """The addresses of new servers, in place of those that are there."""
    global _servers
    stop()
    log.info("servers starting model=%s %s", servers.name, where)
    servers.start()
    _servers = servers
    log.info("servers ready model=%s endpoints=%s", servers.name, ",".join(servers.endpoints))
    return servers.endpoints


def _settings(recipe: Recipe) -> ServerSettings:
    s, one_wave = recipe.serving, recipe.inference.in_flight
    return ServerSettings(
        port=s.port, dtype=s.dtype, max_model_len=s.max_model_len, max_num_seqs=s.max_num_seqs or one_wave,
        eager=s.eager, start_timeout=s.start_timeout, kv_cache_gb=s.kv_cache_gb, gpus=s.gpus,
    )  # fmt: skip


def _serving(recipe: Recipe, model: Model) -> tuple[str, ...]:
    """Those of the recipe's endpoints that serve the model, or can load its adapter; the others are named in the log.

    Raises:
        WaitingError, EndpointError: none does; none answers.
    """
    found, faults, without = [], [], ""
    adapter = _adapter(recipe, model)
    for endpoint in recipe.serving.endpoints:
        try:
            names = served_models(endpoint)
        except EndpointError as fault:
            faults.append(str(fault))
            continue
        if model.model_id in names or (adapter and load_adapter(endpoint, model.model_id, adapter)):
            found.append(endpoint)
        else:
            without = endpoint
            faults.append(f"{endpoint} does not serve {model.model_id}")
    if found:
        for text in faults:
            log.warning("left out: %s", text)
        return tuple(found)
    if not without:
        raise EndpointError(faults[0])
    settings = _settings(recipe)
    limits = ["--max-model-len", str(settings.max_model_len), "--max-num-seqs", str(settings.max_num_seqs)]
    merged = ["vllm", "serve", model.path, "--served-model-name", model.model_id, *limits, *SAME_FOR_ALL]
    rank = str(served_rank(recipe.finetune.lora_rank))
    base = ["vllm", "serve", recipe.base_model, "--enable-lora", "--max-lora-rank", rank, *limits, *SAME_FOR_ALL]
    raise WaitingError(
        f"{without} does not serve {model.model_id}; on that machine, with a copy of {model.path}, run: "
        f"{shlex.join(merged)} (or, for adapters, with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 set: {shlex.join(base)}); "
        "then run the same humpback command again"
    )
