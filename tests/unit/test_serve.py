"""`humpback serve`: which models are refused, and that servers end with the command."""

from argparse import Namespace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jobs.cli import serve as serving
from jobs.errors import JobError
from jobs.lake.view import LakeView
from model_ops.client.handshake import HandshakeError
from tests.conftest import Command
from tests.jobs.synthetic_lake import FORWARD

OPTIONS = Namespace(model_id=FORWARD[1], port=8123, max_model_len=512, max_num_seqs=4, eager=True)


def test_an_unknown_model_is_refused_with_the_nearest_name(look: Command, finished_root: str) -> None:
    told = look("serve", FORWARD[1][:-1] + "x", "--lake", finished_root)
    assert told.code == 1
    assert f"no such model in {finished_root}; did you mean {FORWARD[1][:-8]}" in told.err


def test_a_model_without_its_folder_is_refused(look: Command, finished_root: str) -> None:
    told = look("serve", FORWARD[1], "--lake", finished_root)
    assert told.code == 1
    assert f"{FORWARD[1]}: its folder" in told.err
    assert "is not on this machine; copy it here, or serve it where it is" in told.err


class Stub:
    """Servers without a process: alive for two looks."""

    made: ClassVar[list["Stub"]] = []

    def __init__(self, *facts: Any) -> None:
        self.facts, self.looks, self.stopped = facts, 0, False
        self.servers, self.endpoints = [Namespace(log=Path("vllm.log"))], ("http://127.0.0.1:8123/v1",)
        Stub.made.append(self)

    @property
    def alive(self) -> bool:
        self.looks += 1
        return self.looks < 3

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    Stub.made.clear()
    monkeypatch.setattr(serving, "LocalServers", Stub)
    monkeypatch.setattr(serving, "PAUSE", 0)
    monkeypatch.setattr(serving, "_model", lambda view, model_id: ({"path": "folder"}, []))
    return monkeypatch


def test_a_server_that_ends_by_itself_is_an_error(
    stub: pytest.MonkeyPatch, finished_root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with LakeView(finished_root) as view, pytest.raises(JobError, match=r"ended by itself; see vllm\.log"):
        serving.serve(view, OPTIONS)
    assert f"{FORWARD[1]}: http://127.0.0.1:8123/v1 (end with Ctrl-C)" in capsys.readouterr().out
    [servers] = Stub.made
    assert servers.stopped
    assert servers.facts[:2] == ("folder", FORWARD[1])
    settings = servers.facts[2]
    assert (settings.host, settings.port, settings.max_model_len, settings.eager) == ("127.0.0.1", 8123, 512, True)


def test_interrupting_stops_the_server(stub: pytest.MonkeyPatch, finished_root: str) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    stub.setattr("jobs.cli.serve.time.sleep", interrupted)
    with LakeView(finished_root) as view:
        serving.serve(view, OPTIONS)
    assert Stub.made[0].stopped


def test_a_server_with_other_answers_is_stopped(stub: pytest.MonkeyPatch, finished_root: str) -> None:
    def otherwise(*facts: Any) -> None:
        raise HandshakeError("answers otherwise")

    stub.setattr(serving, "require_parity", otherwise)
    with LakeView(finished_root) as view, pytest.raises(HandshakeError):
        serving.serve(view, OPTIONS)
    assert Stub.made[0].stopped
