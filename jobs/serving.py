"""Where a model answers: the recipe's endpoints, or a server that this process starts and stops."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jobs.config import Recipe
from jobs.errors import WaitingError
from jobs.models import Model
from model_ops.chat import ChatFormat
from model_ops.devices import has_gpu, served_dtype
from model_ops.engine import Engine
from model_ops.fake_engine import FakeEngine
from model_ops.handshake import HandshakeError, load_adapter, probe, served_models
from model_ops.vllm_client import VllmEngine
from model_ops.vllm_server import ServerSettings, VllmServer

log = logging.getLogger(__name__)

_server: VllmServer | None = None  # one accelerator, one server: a resource of the process


@dataclass(frozen=True)
class LoadEngine:
    """Makes the engine on a worker; travels there with everything that the engine needs."""

    engine: Engine

    def __call__(self) -> Engine:
        """The engine."""
        return self.engine


def engine_for(recipe: Recipe, model: Model, logs: Path, window: int) -> Callable[[], Engine]:
    """An engine for `model`, proven to answer as we need; starts or changes our own server if need be.

    `window` is how many requests each copy of it keeps open.

    Raises:
        WaitingError: no endpoint of the recipe serves the model; the message says how to.
        ServerError, HandshakeError: our own server did not start; a server ignores what we ask for.
    """
    if recipe.inference.engine == "fake":
        return LoadEngine(FakeEngine())
    if recipe.serving.endpoints:
        _require_served(recipe, model)
    else:
        _start_local(recipe, model, logs)
    chat = chat_format(model.path)
    limits = [probe(endpoint, model.model_id, chat) for endpoint in endpoints(recipe)]
    inference = recipe.inference
    return LoadEngine(
        VllmEngine(
            endpoints=endpoints(recipe),
            model=model.model_id,
            chat=chat,
            max_model_len=min(limits),
            window=window,
            timeout=inference.timeout,
            patience=inference.patience,
            attempts=inference.attempts,
        )
    )


@cache
def chat_format(model_path: str) -> ChatFormat:
    """The chat format that lies beside the model's weights."""
    return ChatFormat.load(model_path)


def endpoints(recipe: Recipe) -> tuple[str, ...]:
    """The servers that answer now: the recipe's, or our own."""
    return recipe.serving.endpoints or ((_server.endpoint,) if _server else ())


def stop() -> None:
    """Stop this process's own server, if it has one."""
    global _server
    server, _server = _server, None
    if server:
        server.stop()
        log.info("server stopped model=%s", server.name)


def _start_local(recipe: Recipe, model: Model, logs: Path) -> None:
    """Serve the model here: as an adapter beside others where that is fast, else merged and alone."""
    adapter = Path(model.path) / "adapter"
    # On a CPU an adapter costs 14 times the speed of a merged model.
    if recipe.serving.mode == "merged" or not adapter.is_dir() or not has_gpu():
        _serve(recipe, model.path, model.model_id, logs)
        return
    endpoint = _serve(recipe, recipe.base_model, "base", logs, lora_rank=recipe.finetune.lora_rank)
    if model.model_id not in served_models(endpoint) and not load_adapter(endpoint, model.model_id, adapter):
        raise HandshakeError(f"{endpoint} can't load the adapter {adapter}; try --set 'serving.mode=\"merged\"'")


def _serve(recipe: Recipe, folder: str, name: str, logs: Path, lora_rank: int | None = None) -> str:
    """Our server's address; it is started, in place of another one, unless it serves `name` already."""
    global _server
    s = recipe.serving
    if _server is not None and _server.name == name:
        return _server.endpoint
    stop()
    settings = ServerSettings(
        port=s.port, dtype=served_dtype(s.dtype), max_model_len=s.max_model_len, max_num_seqs=s.max_num_seqs,
        eager=s.eager, start_timeout=s.start_timeout, kv_cache_gb=s.kv_cache_gb, lora_rank=lora_rank,
    )  # fmt: skip
    server = VllmServer(folder, name, settings, logs / f"vllm-{name}.log")
    log.info("server starting model=%s port=%d dtype=%s log=%s", name, s.port, settings.dtype, server.log)
    server.start()
    _server = server
    log.info("server ready model=%s", name)
    return server.endpoint


def _require_served(recipe: Recipe, model: Model) -> None:
    for endpoint in recipe.serving.endpoints:
        if model.model_id in served_models(endpoint):
            continue
        adapter = Path(model.path) / "adapter"
        if recipe.serving.mode == "adapters" and adapter.is_dir() and load_adapter(endpoint, model.model_id, adapter):
            continue
        raise WaitingError(
            f"{endpoint} does not serve {model.model_id}; on that machine, with a copy of {model.path}, run: "
            f"vllm serve {model.path} --served-model-name {model.model_id} "
            f"--max-model-len {recipe.serving.max_model_len} (or, for adapters, with "
            f"VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 set: vllm serve {recipe.base_model} --enable-lora); "
            "then run the same humpback command again"
        )
