"""What a server must prove before the first request: vLLM ignores fields it does not know, with HTTP 200."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from model_ops.client.vllm_client import headers
from model_ops.text.chat import ChatFormat

TIMEOUT = 60.0


class HandshakeError(RuntimeError):
    """A server that does not answer, or ignores something that we rely on."""


def served_models(endpoint: str) -> dict[str, int]:
    """The names a server answers to, with the longest context (tokens) of each."""
    cards = _call(endpoint, "/models")["data"]
    longest = max((m.get("max_model_len") or 0 for m in cards), default=0)
    return {m["id"]: int(m.get("max_model_len") or longest) for m in cards}  # vLLM says none of an adapter


def load_adapter(endpoint: str, name: str, adapter: Path) -> bool:
    """Ask a server to load a LoRA adapter under an immutable name; False where it can't."""
    try:
        _call(endpoint, "/load_lora_adapter", {"lora_name": name, "lora_path": str(adapter)})
        return name in served_models(endpoint)
    except HandshakeError:
        return False


def probe(endpoint: str, model: str, chat: ChatFormat) -> int:
    """Prove that a constraint binds and that log-probabilities come back; the longest context in tokens.

    Raises:
        HandshakeError: names the server and the first thing that it does not do.
    """
    served = served_models(endpoint)
    if model not in served:
        raise HandshakeError(f"{endpoint} does not serve {model}; it serves {', '.join(sorted(served)) or 'nothing'}")
    ids = chat.prompt_ids("", "Say yes.", "")
    ask = {"model": model, "prompt": ids, "temperature": 0}
    bound = _call(endpoint, "/completions", ask | {"max_tokens": 8, "structured_outputs": {"regex": "zq"}})
    if bound["choices"][0]["text"] != "zq":
        raise HandshakeError(f"{endpoint} ignores structured_outputs: it wrote {bound['choices'][0]['text'][:40]!r}")
    labels = {"logprobs": 2, "logprob_token_ids": [ids[0], ids[1]], "return_tokens_as_token_ids": True}
    given = _call(endpoint, "/completions", ask | {"max_tokens": 1} | labels)["choices"][0].get("logprobs") or {}
    missing = {f"token_id:{i}" for i in ids[:2]} - set((given.get("top_logprobs") or [{}])[0])
    if missing:
        raise HandshakeError(
            f"{endpoint} ignores logprob_token_ids: no log-probability of {', '.join(sorted(missing))}"
        )
    spans = _call(endpoint, "/completions", ask | {"max_tokens": 1, "prompt_logprobs": 0})
    if len(spans["choices"][0].get("prompt_logprobs") or []) != len(ids):
        raise HandshakeError(f"{endpoint} ignores prompt_logprobs")
    if not served[model]:
        raise HandshakeError(f"{endpoint} does not say max_model_len of {model}")
    return served[model]


def version(endpoint: str) -> str:
    """What a server says of its version, for the log; not every one that speaks vLLM's API says it."""
    try:
        return str(_call(endpoint.rstrip("/").removesuffix("/v1"), "/version")["version"])
    except (HandshakeError, KeyError, TypeError):
        return "unknown"


def _call(endpoint: str, route: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(
        endpoint.rstrip("/") + route,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers()},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as reply:
            text = reply.read().decode()
    except urllib.error.HTTPError as error:
        raise HandshakeError(f"{endpoint}{route} answered HTTP {error.code}: {error.read(300)!r}") from error
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise HandshakeError(
            f"{endpoint} does not answer ({error}); check that the server runs and serving.endpoints is right"
        ) from error
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text  # /load_lora_adapter answers in prose
