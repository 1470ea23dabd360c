"""Both clients use no proxy, follow no redirect, and send the key only to the named server."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from model_ops.client.apis import Completions
from model_ops.client.endpoint import KEY, Endpoint, EndpointError, key_from_environment
from model_ops.client.replies import Meaning
from model_ops.client.served_engine import ServedEngine
from model_ops.client.servers import Timings
from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import VllmServer
from model_ops.text.chat import ChatFormat
from tests.model_ops.fake_server import Reply, Script, completion, serving
from tests.tiny_model import save_tokenizer

SECRET = "s3cret-of-the-server"


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> ChatFormat:
    folder = tmp_path_factory.mktemp("chat")
    save_tokenizer(folder)
    return ChatFormat.load(folder)


@dataclass
class Stranger:
    """A proxy, or the target of a redirect; it records requests and answers as if it were the server."""

    seen: list[str] = field(default_factory=list)

    def script(self, path: str, body: dict[str, Any] | None, number: int) -> Reply:
        self.seen.append(path)
        return completion("from a stranger")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stranger]:
    """Run a proxy that the environment sets for every scheme and every host."""
    stranger = Stranger()
    with serving(stranger.script) as url:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, url.removesuffix("/v1"))
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield stranger


def asked(chat: ChatFormat, url: str, key: str | None = SECRET) -> Any:
    """Return the answer to one request by the client that answers Spark partitions."""
    row = {"request_id": "0" * 64, "sampling": json.dumps({"max_tokens": 9}), "system": "", "prompt": "Why?"}
    engine = ServedEngine(
        (url,),
        Completions("m-1", chat, 512),
        1,
        timeout=5,
        patience=0,
        attempts=1,
        key=key,
        timings=Timings(rest=0.1, backoff=0.01),
    )
    (answer,) = engine.answers(iter([row | {"prefill": "", "span": None}]))
    return answer


LOOKS: dict[str, Callable[[Endpoint], object]] = {
    "health": Endpoint.require_health,
    "models": lambda endpoint: endpoint.served_models(),
    "counters": Endpoint.metrics,
    "a call": lambda endpoint: endpoint.call("/completions", {"prompt": [1]}),
    "an adapter": lambda endpoint: endpoint.load_adapter("m-1", Path("/m/adapter")),
}


def sound(path: str, body: dict[str, Any] | None, number: int) -> Reply:
    return (200, {}, {"data": [{"id": "m-1"}]}) if path == "/v1/models" else completion("from the server")


def test_environment_proxies_are_ignored(chat: ChatFormat, proxy: Stranger, tmp_path: Path) -> None:
    with serving(sound, key=SECRET) as url:
        for look in LOOKS.values():
            look(Endpoint(url, SECRET))
        assert asked(chat, url).text == "from the server"
        port = int(url.split(":")[2].split("/")[0])
        server = VllmServer(
            str(tmp_path), "m-1", ServerSettings(port=port, max_num_seqs=1, key=SECRET), tmp_path / "log"
        )
        assert server._healthy()
    for host in ("gpu1.invalid", "127.0.0.1:9"):  # neither exists, so that only a proxy could answer
        with pytest.raises(EndpointError, match="does not answer"):
            Endpoint(f"http://{host}/v1", SECRET).metrics()
        assert asked(chat, f"http://{host}/v1").status == "failed"
    assert proxy.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_do_not_receive_the_key(chat: ChatFormat, status: int) -> None:
    stranger = Stranger()
    with serving(stranger.script) as elsewhere:

        def script(path: str, body: Any, number: int) -> Reply:
            return status, {"Location": elsewhere + path.removeprefix("/v1")}, {}

        with serving(script) as url:
            for name, look in LOOKS.items():
                if name == "an adapter":
                    assert look(Endpoint(url, SECRET)) is False
                    continue
                with pytest.raises(EndpointError, match=f"HTTP {status}.*name the server itself") as caught:
                    look(Endpoint(url, SECRET))
                assert caught.value.means is Meaning.MISFIT
            answer = asked(chat, url)
    assert (answer.status, "redirects are not followed" in answer.error) == ("failed", True)
    assert stranger.seen == []


@pytest.mark.parametrize("address", ["file:///etc", "ftp://127.0.0.1/v1", "data:text/plain,x"])
def test_only_http_addresses_are_accepted(chat: ChatFormat, address: str) -> None:
    with pytest.raises(EndpointError, match="does not answer"):
        Endpoint(address, SECRET).call("/passwd")
    assert asked(chat, address).status == "failed"


def echoing(status: int, form: str) -> Script:
    """Return the script of a server that repeats the key of the request, as some do."""
    echoed = form.replace("KEY", SECRET)
    return lambda *_: (status, {}, echoed.encode())


def error_message(look: Callable[[Endpoint], object], url: str) -> str:
    """Return the message of a failed call; empty if it succeeds, since a counter's text comes from the server."""
    try:
        look(Endpoint(url, SECRET))
    except EndpointError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize("form", ['{"error": "KEY is no key"}', "<html>KEY</html>", '{"choices": [{"text": KEY}]}'])
def test_the_key_is_never_repeated_in_messages_or_answers(chat: ChatFormat, status: int, form: str) -> None:
    with serving(echoing(status, form)) as url:
        answer = asked(chat, url)
        assert answer.status in ("failed", "refused")
        assert SECRET not in repr(answer)
        assert "***" in str(answer.error)
        assert all(SECRET not in error_message(look, url) for look in LOOKS.values())


def test_a_finish_reason_with_the_key_is_redacted(chat: ChatFormat) -> None:
    with serving(lambda *_: completion("Half", SECRET)) as url:
        assert SECRET not in repr(asked(chat, url))


@pytest.mark.parametrize("key", ["two\nlines", "zero\0", "schlüssel", "\u200bpasted"])
def test_a_key_that_no_header_can_hold_is_refused_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch, chat: ChatFormat, key: str
) -> None:
    if "\0" not in key:
        monkeypatch.setenv(KEY, key)
        with pytest.raises(EndpointError, match="no HTTP header can hold") as caught:
            key_from_environment()
        assert key not in str(caught.value)
    answer = asked(chat, "http://127.0.0.1:9/v1", key)
    assert (answer.status, key in answer.error) == ("failed", False)
    with pytest.raises(EndpointError) as caught:
        Endpoint("http://127.0.0.1:9/v1", key).metrics()
    assert key not in str(caught.value)


def test_a_trailing_newline_is_stripped_from_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, f" {SECRET}\n")
    assert key_from_environment() == SECRET
    monkeypatch.setenv(KEY, " \n")
    assert key_from_environment() is None
