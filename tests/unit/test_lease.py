"""One run of an experiment at a time, whoever was killed."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from threading import Barrier, Timer
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.errors import WaitingError
from jobs.lake import lease, process
from jobs.lake.lease import Lease, held

NO_SPARK: Any = None  # of a lake on this machine none is asked


def leave(root: Path, of: Lease) -> None:
    """Leave a lease behind, as a run that was killed does."""
    folder = root / lease.FOLDER / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{of.loop_id}.json").write_text(json.dumps(asdict(of)))


def own(root: Path) -> Lease:
    """Return a lease as this process creates it."""
    with held(NO_SPARK, str(root), "other", "mine") as holding:
        return holding.lease


def test_a_second_run_of_an_experiment_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    owner = f"process {os.getpid()} on {re.escape(socket.gethostname())}"
    with (
        held(NO_SPARK, str(tmp_path), "demo", "first"),
        held(NO_SPARK, str(tmp_path), "other", "second"),
        pytest.raises(WaitingError, match=f"experiment demo: {owner} has been running it since"),
        held(NO_SPARK, str(tmp_path), "demo", "third"),
    ):
        raise AssertionError("two hold the lease")
    with held(NO_SPARK, str(tmp_path), "demo", "fourth") as holding:
        assert holding.dead == []
    assert list((tmp_path / lease.FOLDER).rglob("*.json")) == []


def test_a_lease_that_is_being_written_is_respected(tmp_path: Path) -> None:
    """A renewal on HDFS empties the file for a moment."""
    leave(tmp_path, own(tmp_path))
    file = tmp_path / lease.FOLDER / "demo" / "mine.json"
    text = file.read_text()
    file.write_text("")
    written = Timer(0.2, file.write_text, [text])
    written.start()
    with pytest.raises(WaitingError), held(NO_SPARK, str(tmp_path), "demo", "next"):
        raise AssertionError("two hold the lease")
    written.join()


def test_an_empty_lease_of_a_dead_writer_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "READ_TRIES", 2)
    leave(tmp_path, own(tmp_path))
    (tmp_path / lease.FOLDER / "demo" / "mine.json").write_text("")
    with held(NO_SPARK, str(tmp_path), "demo", "next") as holding:
        assert holding.dead == []


def test_a_new_lease_allows_commits(tmp_path: Path) -> None:
    with held(NO_SPARK, str(tmp_path), "demo", "first") as holding:
        holding.require()
        assert replace(holding.lease, machine="another").is_alive(), "other hosts wait for it"


def test_a_refusal_gives_times_in_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    midnight_in_2100 = 4102444800.0
    leave(tmp_path, replace(own(tmp_path), machine="another", since=3723.0, expires=midnight_in_2100 + 3661))
    said = r"since 01:02:03 UTC; .* \(its lease ends at 01:01:01 UTC unless"
    with monkeypatch.context() as of:
        of.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        with pytest.raises(WaitingError, match=said), held(NO_SPARK, str(tmp_path), "demo", "next"):
            raise AssertionError("it has not expired")
    time.tzset()


def test_of_two_simultaneous_runs_one_retries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(tmp_path, replace(own(tmp_path), loop_id="other", since=time.time()))
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        (tmp_path / lease.FOLDER / "demo" / "other.json").unlink()

    monkeypatch.setattr(time, "sleep", sleep)
    with held(NO_SPARK, str(tmp_path), "demo", "next") as holding:
        assert (len(waits), holding.dead) == (1, [])


def test_a_later_run_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(tmp_path, replace(own(tmp_path), loop_id="other", since=time.time() - 1.5))
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    with pytest.raises(WaitingError, match="experiment demo"), held(NO_SPARK, str(tmp_path), "demo", "next"):
        raise AssertionError("two hold the lease")


def test_giving_back_a_removed_lease_succeeds(tmp_path: Path) -> None:
    with held(NO_SPARK, str(tmp_path), "demo", "first"):
        (tmp_path / lease.FOLDER / "demo" / "first.json").unlink()


def test_a_machine_is_identified_by_its_boot_id(tmp_path: Path) -> None:
    """The numbers of processes and of their namespaces come again."""
    assert Path("/proc/sys/kernel/random/boot_id").read_text().strip() in own(tmp_path).machine


def test_the_start_time_is_read_for_any_process_name(tmp_path: Path) -> None:
    (tmp_path / "a) b c").symlink_to("/bin/sleep")
    with subprocess.Popen([tmp_path / "a) b c", "60"]) as later:
        started = process._start_time(later.pid)
        later.kill()
    assert int(started) > int(process._start_time(os.getpid()))


def test_of_many_that_start_together_no_two_hold_the_lease(tmp_path: Path) -> None:
    together, inside = Barrier(6), []

    def run(n: int) -> int:
        together.wait()
        try:
            with held(NO_SPARK, str(tmp_path), "demo", str(n)):
                inside.append(n)
                assert inside == [n]
                time.sleep(0.05)
                inside.remove(n)
        except WaitingError:
            return 0
        return 1

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(run, range(6))) >= 1


def test_the_lease_of_a_dead_process_is_taken_over_at_once(tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    mine = own(tmp_path)
    leave(tmp_path, replace(mine, loop_id="gone", pid=int(gone.stdout)))
    leave(tmp_path, replace(mine, loop_id="same number, other process", started="1"))
    with held(NO_SPARK, str(tmp_path), "demo", "next") as holding:
        assert {dead.loop_id for dead in holding.dead} == {"gone", "same number, other process"}
        for dead in holding.dead:
            holding.forget(dead)
    assert not list((tmp_path / lease.FOLDER).rglob("*.json"))


def test_the_lease_of_another_host_stands_until_it_expires(tmp_path: Path) -> None:
    elsewhere = replace(own(tmp_path), loop_id="elsewhere", machine="another", host="gpu-1")
    leave(tmp_path, replace(elsewhere, expires=time.time() + 60))
    with pytest.raises(WaitingError, match="on gpu-1"), held(NO_SPARK, str(tmp_path), "demo", "next"):
        raise AssertionError("it has not expired")
    leave(tmp_path, replace(elsewhere, expires=time.time() - 1))
    with held(NO_SPARK, str(tmp_path), "demo", "next") as holding:
        assert [dead.loop_id for dead in holding.dead] == ["elsewhere"]


def test_an_unrenewed_lease_prevents_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space is left")

    def is_overdue() -> bool:
        try:
            holding.require()
        except WaitingError:
            return True
        return False

    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.02)
    monkeypatch.setattr(lease, "LIFETIME_SECONDS", 0.5)
    with held(NO_SPARK, str(tmp_path), "demo", "first") as holding:
        time.sleep(0.7)
        deadline = time.monotonic() + 30
        while is_overdue() and time.monotonic() < deadline:  # a busy machine may be late once
            time.sleep(0.05)
        holding.require()
        (stored,) = (tmp_path / lease.FOLDER / "demo").glob("*.json")
        assert json.loads(stored.read_text())["expires"] > holding.lease.expires
        monkeypatch.setattr(lease._Folder, "put", full)
        time.sleep(0.7)
        said = f"the lease of this run in {re.escape(str(tmp_path))}/_leases/demo could not be renewed"
        with pytest.raises(WaitingError, match=said):
            holding.require()


def test_the_lease_of_a_lake_in_a_store_is_a_file_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    files: dict[str, str] = {}

    spark: Any = SimpleNamespace(files=files)
    store = SimpleNamespace(
        put_text=lambda of, place, text: of.files.update({place: text}),
        texts_in=lambda of, folder, suffix: [
            text for name, text in of.files.items() if name.startswith(f"{folder}/") and name.endswith(suffix)
        ],
        remove=lambda of, place: of.files.pop(place, None),
    )
    monkeypatch.setattr(lease, "jvm", store)
    monkeypatch.setattr(lease, "ACQUIRE_TRIES", 1)
    with held(spark, "s3a://bucket/lake/", "demo", "first") as holding:
        assert {name: json.loads(text) for name, text in files.items()} == {
            "s3a://bucket/lake/_leases/demo/first.json": asdict(holding.lease)
        }
        with pytest.raises(WaitingError, match="experiment demo"), held(spark, "s3a://bucket/lake", "demo", "next"):
            raise AssertionError("two hold the lease")
    assert files == {}
