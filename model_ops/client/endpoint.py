"""One server that speaks vLLM's API over HTTP: its health, its models, its counters, and single requests.

For the few calls that are made one at a time; a partition of requests goes through `ServedEngine`.
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_ops.client.replies import Meaning, json_of, meaning, seconds_to_wait, token_count, without_key

KEY = "HUMPBACK_API_KEY"
"""The environment variable that holds the API key; it is never logged or stored."""
TIMEOUT = 60.0
MAX_BYTES = 8 << 20
"""Maximum size of a reply; a list of models or a server's counters take a thousandth of it."""
CHUNK_BYTES = 1 << 16
# Exceptions that a malformed model card raises.
SENSELESS = (KeyError, TypeError, AttributeError, ValueError, OverflowError)


class EndpointError(RuntimeError):
    """A server that does not answer, or answers with an error; `status` is the HTTP status, if there was one."""

    def __init__(
        self,
        message: str,
        status: int | None = None,
        *,
        means: Meaning = Meaning.BUSY,
        retry_after: float | None = None,
    ) -> None:
        """`message` names the server and what it answered; `retry_after` is the wait that it asked for, in seconds."""
        super().__init__(message)
        self.status, self.means, self.retry_after = status, means, retry_after


def key_from_environment(variable: str = KEY) -> str | None:
    """Return the API key that the user has set, or None; white space around it is stripped.

    Raises:
        EndpointError: the key has a character that no HTTP header can hold.
    """
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise EndpointError(
            f"{variable} has a character that no HTTP header can hold; set it to plain ASCII", means=Meaning.MISFIT
        )
    return key or None


def headers(key: str | None) -> dict[str, str]:
    """Return the HTTP headers that authorize a request with `key`."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for HTTP and HTTPS only: no proxy from the environment, no redirect, no `file:` URL.

    A proxy, or the target of a redirect, would receive the key. `ServedEngine`'s client refuses both as well.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


@dataclass(frozen=True)
class Endpoint:
    """The base URL of a server's API (`http://host:port/v1`) and its API key."""

    url: str
    key: str | None = field(default=None, repr=False)

    def require_health(self, timeout: float = 5.0) -> None:
        """Check `/health`, which vLLM answers with HTTP 200 while its engine is alive.

        Raises:
            EndpointError: no answer within `timeout` seconds, or another status.
        """
        self._send(self._root + "/health", timeout=timeout)

    def served_models(self) -> dict[str, int]:
        """Return the name of each served model and its maximum context in tokens; 0 if the server reports none.

        Raises:
            EndpointError: no answer, or one that lists no models.
        """
        reply = self.call("/models")
        try:
            cards = reply["data"]
            lengths = [token_count(card.get("max_model_len") or 0, "max_model_len") for card in cards]
            # vLLM reports no length for an adapter, which has that of its base model.
            longest = max(lengths, default=0)
            return {str(card["id"]): length or longest for card, length in zip(cards, lengths, strict=True)}
        except SENSELESS as error:
            excerpt = without_key(str(reply), self.key)[:100]
            raise EndpointError(
                f"{self.url}/models does not list models: {excerpt!r}", means=Meaning.TROUBLED
            ) from error

    def load_adapter(self, name: str, adapter: Path) -> bool:
        """Ask the server to load a LoRA adapter under an immutable name; return False if it refuses.

        Raises:
            EndpointError: the server is silent or busy.
        """
        try:
            self.call("/load_lora_adapter", {"lora_name": name, "lora_path": str(adapter)})
            return name in self.served_models()
        except EndpointError as error:
            if error.means is Meaning.BUSY:
                raise
            return False

    def version(self) -> str:
        """Return the version that the server reports, or `unknown`: other servers with this API need not report one."""
        try:
            return str(_parsed(self._send(self._root + "/version"))["version"])
        except (EndpointError, KeyError, TypeError):
            return "unknown"

    def metrics(self, timeout: float = 2.0) -> str:
        """Return the server's counters in Prometheus' text format.

        Raises:
            EndpointError: no answer within `timeout` seconds.
        """
        return self._send(self._root + "/metrics", timeout=timeout)

    def call(self, route: str, body: dict[str, Any] | None = None) -> Any:
        """GET a route below the base URL, or POST `body` to it; return the parsed JSON, or the text if it is not JSON.

        Raises:
            EndpointError: no answer, an HTTP status of 400 or more, or a reply of more than `MAX_BYTES`.
        """
        return _parsed(self._send(self.url.rstrip("/") + route, body))

    @property
    def _root(self) -> str:
        return self.url.rstrip("/").removesuffix("/v1")

    def _send(self, address: str, body: dict[str, Any] | None = None, timeout: float = TIMEOUT) -> str:
        data = None if body is None else json.dumps(body).encode()
        deadline = time.monotonic() + timeout
        try:
            request = urllib.request.Request(
                address, data=data, headers={"Content-Type": "application/json", **headers(self.key)}
            )
            with _opener().open(request, timeout=timeout) as reply:
                return _text(reply, deadline)
        except urllib.error.HTTPError as error:
            raise self._error(address, error) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = without_key(str(error), self.key)
            raise EndpointError(
                f"{self.url} does not answer ({reason}); check that the server runs and serving.endpoints is right",
                means=Meaning.BUSY if isinstance(error, OSError) else Meaning.TROUBLED,
            ) from error

    def _error(self, address: str, error: urllib.error.HTTPError) -> EndpointError:
        message = f"{address} answered HTTP {error.code}: {without_key(repr(_excerpt(error)), self.key)}"
        means = meaning(error.code)
        if means is Meaning.MISFIT:
            message += f"; {how_to_mend(error.code)}"
        return EndpointError(
            message, error.code, means=means, retry_after=seconds_to_wait(error.headers.get("Retry-After"))
        )


def how_to_mend(status: int) -> str:
    """Return advice for an HTTP status that means `Meaning.MISFIT`: the settings do not fit the server."""
    if status in (401, 403):
        return f"set {KEY}, or the key_variable of an outside model, to the server's key"
    if 300 <= status < 400:
        return "redirects are not followed: name the server itself in serving.endpoints"
    return "check that serving.endpoints names servers of this model, with their /v1"


def _text(reply: http.client.HTTPResponse, deadline: float) -> str:
    """Read the body of a reply; bytes that are not UTF-8 are replaced.

    Raises:
        ValueError: the body is too long, arrives too slowly or is cut off.
    """
    content = b""
    while chunk := reply.read1(CHUNK_BYTES):
        content += chunk
        if len(content) > MAX_BYTES:
            raise ValueError(f"the reply has more than {MAX_BYTES:,} bytes")
        if time.monotonic() > deadline:  # urllib's timeout applies to each read
            raise ValueError(f"the reply was not complete in time, after {len(content):,} bytes")
    if reply.length:
        raise ValueError(f"the reply is cut off {reply.length:,} bytes before its end")
    return content.decode(errors="replace")


def _parsed(text: str) -> Any:
    try:
        return json_of(text)
    except (ValueError, RecursionError):
        return text  # /load_lora_adapter answers in prose


def _excerpt(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read(300)
    except (OSError, ValueError, http.client.HTTPException):
        return b""
