"""Servers on executors: what Spark must leave free, and each task's side of the line to the driver."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.errors import JobError
from jobs.inference.executor_servers import hold, require_slots
from jobs.recipe.config import Serving


class Server:
    """Replaces a vLLM process; `told` records its calls."""

    name, endpoint, alive = "m-1", "http://127.0.0.1:1/v1", True

    def __init__(self, folder: Path) -> None:
        self.model_dir = str(folder)
        self.told: list[str] = []

    def start(self, on_wait: Any) -> None:
        self.told.append("start")
        on_wait(0.5)

    def stop(self) -> None:
        self.told.append("stop")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The driver's and the task's end of a connection."""
    driver, task = socket.socketpair()
    with driver, task:
        driver.settimeout(10)
        yield driver, task


def received(driver: socket.socket) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(driver.makefile("rb").readline())
    assert facts.pop("host") == socket.gethostname()
    return facts


def test_a_server_runs_until_the_driver_disconnects(tmp_path: Path, ends: tuple[socket.socket, socket.socket]) -> None:
    driver, task = ends
    server: Any = Server(tmp_path)
    holding = threading.Thread(target=hold, args=(server, task))
    holding.start()
    assert received(driver) == {"endpoint": server.endpoint}
    assert holding.is_alive()
    assert server.told == ["start"]
    driver.close()
    holding.join(10)
    assert not holding.is_alive()
    assert server.told == ["start", "stop"]


def test_a_server_is_not_started_for_a_driver_that_has_gone(
    tmp_path: Path, ends: tuple[socket.socket, socket.socket]
) -> None:
    driver, task = ends
    driver.close()
    server: Any = Server(tmp_path)
    hold(server, task)
    assert server.told == ["start", "stop"]


def test_the_task_ends_when_its_server_dies(tmp_path: Path, ends: tuple[socket.socket, socket.socket]) -> None:
    server: Any = Server(tmp_path)
    server.alive = False
    hold(server, ends[1])
    assert server.told == ["start", "stop"]


def test_a_fault_is_reported_to_the_driver(tmp_path: Path, ends: tuple[socket.socket, socket.socket]) -> None:
    driver, task = ends
    server: Any = Server(tmp_path / "nowhere")
    hold(server, task)
    assert received(driver) == {
        "fault": f"{tmp_path}/nowhere does not exist on this host; models_dir must be a folder that every executor mounts"
    }


def session(cores: int = 8, **conf: str) -> Any:
    """Return the parts of a Spark session on a cluster with GPUs that the code uses."""
    conf = {"master": "spark://here:7077", "executor_resource_gpu_amount": "1"} | conf
    values = {f"spark.{key.replace('_', '.')}": value for key, value in conf.items()}
    context = SimpleNamespace(defaultParallelism=cores, getConf=lambda: values)
    return SimpleNamespace(sparkContext=context, conf=values)


def test_servers_that_leave_cores_free_are_accepted() -> None:
    require_slots(session(), 4, gpus=1)
    require_slots(session(task_resource_gpu_amount="1"), 4, gpus=0)


@pytest.mark.parametrize(
    ("spark", "fault"),
    [
        (session(dynamicAllocation_enabled="true"), "spark.dynamicAllocation.enabled=false"),
        (session(task_resource_gpu_amount="0.5"), "spark.task.resource.gpu.amount is set"),
        (session(cores=4), "serving.executors=4 would hold all 4 cores"),
        (session(master="local[8]"), "serving.gpus=1 asks for GPUs, but Spark has none configured"),
        (session(executor_resource_gpu_amount=""), "serving.gpus=1 asks for GPUs, but Spark has none configured"),
    ],
)
def test_settings_that_leave_no_cores_for_other_tasks_are_refused(spark: Any, fault: str) -> None:
    with pytest.raises(JobError, match=fault):
        require_slots(spark, 4, gpus=1)


def test_servers_are_named_or_started_but_not_both() -> None:
    with pytest.raises(ValidationError, match="leave one of them out"):
        Serving(endpoints=("http://gpu1:8000/v1",), executors=2)


def test_every_server_has_a_port() -> None:
    Serving(port=65530, executors=6)
    with pytest.raises(ValidationError, match="7 ports from 65530 on would exceed 65535"):
        Serving(port=65530, executors=7)
