"""Single calls of a server: its answers, and the errors for hostile, slow and silent servers."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from model_ops.client import endpoint as module
from model_ops.client.endpoint import KEY, Endpoint, EndpointError, headers, key_from_environment
from tests.model_ops.fake_server import RESET, Reply, serving

DEEP = b"[" * 100_000
CARDS = [{"id": "base", "max_model_len": 512}, {"id": "m-1", "max_model_len": None, "parent": "base"}]


def replies(*by_path: tuple[str, Reply]) -> Any:
    """Return a script that has a reply for each of these paths, and 404 for others."""
    return lambda path, body, number: dict(by_path).get(path, (404, {}, {"error": "unknown"}))


@contextmanager
def raw(sent: bytes, pause: float = 0.0) -> Iterator[Endpoint]:
    """Run a server that answers one connection with these bytes, one by one if there is a pause in seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                try:
                    for byte in [sent[n : n + 1] for n in range(len(sent))] if pause else [sent]:
                        connection.sendall(byte)
                        time.sleep(pause)
                except OSError:
                    return  # the client has given up

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield Endpoint(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        thread.join(10)


def test_an_adapter_has_the_context_length_of_its_base() -> None:
    with serving(replies(("/v1/models", (200, {}, {"data": CARDS})))) as url:
        assert Endpoint(url).served_models() == Endpoint(url + "/").served_models() == {"base": 512, "m-1": 512}


@pytest.mark.parametrize(
    "said",
    [[], "fine", b"<html>", b"\xff\xfe", DEEP, {"data": 7}, {"data": [{"max_model_len": 5}]}, {"data": [7]},
     {"data": [{"id": "m", "max_model_len": "long"}]}, b'{"data": [{"id": "m", "max_model_len": Infinity}]}'],
    ids=["a list", "a text", "html", "no text", "nested", "no cards", "no name", "a number", "long", "infinite"],
)  # fmt: skip
def test_an_invalid_model_list_is_shown(said: Any) -> None:
    with (
        serving(replies(("/v1/models", (200, {}, said)))) as url,
        pytest.raises(EndpointError, match=f"{url}/models does not list models: ") as caught,
    ):
        Endpoint(url).served_models()
    assert len(str(caught.value)) < 250


def test_the_server_version_is_optional() -> None:
    with serving(replies(("/version", (200, {}, {"version": "0.32.0"})))) as url:
        assert Endpoint(url).version() == "0.32.0"
    for said in ((404, {}, {}), (200, {}, ["0.32.0"]), (200, {}, {}), (200, {}, DEEP)):
        with serving(replies(("/version", said))) as url:
            assert Endpoint(url).version() == "unknown"


def test_health_is_requested_at_the_server_root() -> None:
    with serving(replies(("/health", (200, {}, b"")))) as url:
        Endpoint(url).require_health()
    with serving(lambda *_: (503, {}, {})) as url, pytest.raises(EndpointError, match="HTTP 503") as caught:
        Endpoint(url).require_health()
    assert caught.value.status == 503


def test_counters_are_returned_unchanged() -> None:
    with serving(replies(("/metrics", (200, {}, b"vllm:n_total 7\n")))) as url:
        assert Endpoint(url).metrics() == "vllm:n_total 7\n"


def test_an_adapter_is_loaded_where_the_server_lists_it_afterwards(tmp_path: Path) -> None:
    asked: list[Any] = []

    def script(path: str, body: Any, number: int) -> Reply:
        if path == "/v1/models":
            return 200, {}, {"data": CARDS}
        asked.append(body)
        return 200, {}, b"Success: LoRA adapter added."

    with serving(script) as url:
        assert Endpoint(url).load_adapter("m-1", tmp_path)
        assert not Endpoint(url).load_adapter("m-2", tmp_path)
    assert asked == [{"lora_name": name, "lora_path": str(tmp_path)} for name in ("m-1", "m-2")]
    with serving(lambda *_: (400, {}, {"error": "no"})) as url:
        assert not Endpoint(url).load_adapter("m-1", tmp_path)


def test_an_error_shows_status_and_beginning_of_the_reply() -> None:
    with serving(lambda *_: (500, {}, b"x" * 10_000)) as url, pytest.raises(EndpointError) as caught:
        Endpoint(url).call("/completions", {"prompt": [1]})
    assert caught.value.status == 500
    assert str(caught.value).startswith(f"{url}/completions answered HTTP 500: b'xxx")
    assert len(str(caught.value)) < 400


def test_the_key_is_sent_only_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda *_: (200, {}, {}), key="s3cret") as url:
        assert Endpoint(url, "s3cret").call("/x") == {}
        for wrong in (Endpoint(url), Endpoint(url, "other")):
            with pytest.raises(EndpointError, match="HTTP 401"):
                wrong.call("/x")
        assert "s3cret" not in repr(Endpoint(url, "s3cret"))
    assert headers(None) == headers("") == {}
    monkeypatch.setenv(KEY, "from outside")
    assert key_from_environment() == "from outside"
    monkeypatch.setenv(KEY, "")
    assert key_from_environment() is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "not an address", "http://[half/v1"])
def test_an_unreachable_server_error_says_what_to_check(url: str) -> None:
    with pytest.raises(EndpointError, match=r"does not answer .*serving\.endpoints is right") as caught:
        Endpoint(url).require_health()
    assert caught.value.status is None


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (b"", "closed connection"),
        (b"nonsense\r\n\r\n", "nonsense"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", "cut off 97 bytes before its end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}", "does not answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000 + b"\r\n\r\n", "more than 65536 bytes"),
    ],
    ids=["silence", "no http", "cut", "bad chunk", "long header"],
)
def test_a_non_http_reply_counts_as_no_answer(sent: bytes, fault: str) -> None:
    with raw(sent) as endpoint, pytest.raises(EndpointError, match=fault):
        endpoint.call("/models")


def test_an_endless_reply_is_cut_off() -> None:
    whole = module.MAX_BYTES
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {10 * whole}\r\n\r\n".encode()
    without_end = raw(head + b" " * (whole + 2 * module.CHUNK_BYTES))
    with without_end as endpoint, pytest.raises(EndpointError, match=f"more than {whole:,} bytes"):
        endpoint.call("/models")


def test_a_slow_reply_times_out() -> None:
    began = time.monotonic()
    with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + b" " * 400, pause=0.02) as endpoint:
        with pytest.raises(EndpointError, match="not complete in time"):
            endpoint.metrics(timeout=1.5)
        assert time.monotonic() - began < 5


def test_a_connection_reset_counts_as_no_answer() -> None:
    with serving(lambda *_: (RESET, {}, None)) as url, pytest.raises(EndpointError, match="does not answer"):
        Endpoint(url).metrics()
