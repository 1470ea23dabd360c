"""vLLM servers on Spark's executors, each run by a task of a barrier stage until the driver closes its connection.

A server listens on the cluster address of its executor, and serves clients that have the run's key. It
stops when the connection between its task and the driver breaks, for whatever reason, and Linux ends it
with its task.
"""

import hmac
import json
import logging
import secrets
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from py4j.protocol import Py4JError
from pyspark import BarrierTaskContext, InheritableThread, SparkFiles
from pyspark.errors import PySparkException
from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests
from pyspark.sql import SparkSession

from jobs.errors import JobError
from jobs.lake import jvm
from jobs.lake.failures import sentence
from model_ops.devices import served_dtype
from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import ServerError, VllmServer

TOKEN_BYTES = 32
POLL_SECONDS = 1.0
STAGE_SECONDS = 60.0  # for Spark to start the stage, and to end it

log = logging.getLogger(__name__)

Task = Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]


class ExecutorServers:
    """`n` servers of one model, each run by a Spark task."""

    def __init__(self, spark: SparkSession, model_dir: str, name: str, settings: ServerSettings, n: int) -> None:
        """Start nothing yet; the server of task i, from 0, will listen on port `settings.port` + i."""
        self.name = name
        self.endpoints: tuple[str, ...] = ()
        self._spark, self._model_dir, self._settings, self._n = spark, model_dir, settings, n
        self._connections: list[socket.socket] = []
        self._stage: InheritableThread | None = None
        self._tag = f"humpback-servers-{name}"
        self._fault = "its tasks ended"

    @property
    def alive(self) -> bool:
        """Return whether every task still runs its server."""
        return bool(self._connections) and all(_is_open(connection) for connection in self._connections)

    def start(self) -> None:
        """Start all servers, and wait until each answers.

        Raises:
            JobError: a Spark setting rules out servers on executors.
            ServerError: a server did not start; the message names its host.
        """
        require_slots(self._spark, self._n, self._settings.gpus)
        conf = self._spark.conf
        host = str(conf.get("spark.driver.host"))
        try:
            with socket.create_server((str(conf.get("spark.driver.bindAddress", host)), 0)) as listener:
                token = secrets.token_bytes(TOKEN_BYTES)
                driver = (host, listener.getsockname()[1])
                task = hold_server(driver, token, self._model_dir, self.name, self._settings)
                self._stage = InheritableThread(target=self._run, args=(task,), daemon=True)
                self._stage.start()
                self._accept_tasks(listener, token)
            self.endpoints = tuple(self._endpoint(connection) for connection in self._connections)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the servers and end their stage, if there are any."""
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.join(STAGE_SECONDS if connections else 0)
            if stage.is_alive():
                self._spark.interruptTag(self._tag)

    def _run(self, task: Task) -> None:
        try:
            self._spark.addTag(self._tag)
            rows = self._spark.range(0, self._n, 1, self._n)
            profile = _profile(self._spark, self._settings.gpus)
            rows.mapInPandas(task, "id long", barrier=True, profile=profile).collect()
        except (Py4JError, PySparkException) as error:
            self._fault = sentence(error)
        if self._connections:
            log.warning("servers ended model=%s: %s", self.name, self._fault)

    def _accept_tasks(self, listener: socket.socket, token: bytes) -> None:
        """Accept a connection from every task; close connections that do not send the token."""
        listener.settimeout(POLL_SECONDS)
        deadline = time.monotonic() + STAGE_SECONDS
        while len(self._connections) < self._n:
            if not (self._stage and self._stage.is_alive()):
                raise ServerError(f"the stage that starts servers on Spark's executors has ended: {self._fault}")
            if time.monotonic() > deadline:
                raise ServerError(
                    f"only {len(self._connections)} of {self._n} tasks that hold a server were started within "
                    f"{STAGE_SECONDS:.0f} s; serving.executors must not exceed the executors that have a core (and "
                    "serving.gpus GPUs) free at once"
                )
            try:
                connection = listener.accept()[0]
                connection.settimeout(POLL_SECONDS)
                if hmac.compare_digest(connection.recv(TOKEN_BYTES, socket.MSG_WAITALL), token):
                    self._connections.append(connection)
                else:
                    connection.close()
            except OSError:  # no connection yet, or one that was closed
                continue

    def _endpoint(self, connection: socket.socket) -> str:
        """Wait until a task's server answers, and return its URL."""
        connection.settimeout(self._settings.start_timeout + STAGE_SECONDS)
        try:
            with connection.makefile("r") as text:
                reply = text.readline()
        except OSError as error:
            raise ServerError(f"a task did not report whether its server has started: {error}") from error
        if not reply:
            raise ServerError(f"a task ended before its server had started: {self._fault}")
        report = json.loads(reply)
        if "fault" in report:
            raise ServerError(f"on {report['host']}: {report['fault']}")
        return str(report["endpoint"])


def require_slots(spark: SparkSession, n: int, gpus: int) -> None:
    """Check that servers on executors leave enough cores and GPUs for other tasks.

    Raises:
        JobError: a setting rules out the servers; the message names it.
    """
    conf = spark.conf
    if conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        raise JobError(
            "serving.executors needs a fixed set of executors; start with spark.dynamicAllocation.enabled=false, or "
            "set serving.endpoints"
        )
    if gpus and float(conf.get("spark.task.resource.gpu.amount", "0") or 0):
        raise JobError(
            "spark.task.resource.gpu.amount is set, so that every task would wait for the GPUs that the servers hold; "
            "start without it: serving.gpus says what the servers' own tasks take"
        )
    if gpus and (is_local(spark) or not conf.get("spark.executor.resource.gpu.amount", "")):
        raise JobError(
            f"serving.gpus={gpus} asks for GPUs, but Spark has none configured; start with "
            "spark.executor.resource.gpu.amount on a cluster, or set serving.gpus=0"
        )
    cores = jvm.n_cores(spark)
    if cores <= n:
        raise JobError(f"serving.executors={n} would hold all {cores} cores; the tasks that ask the servers need more")


def hold_server(driver: tuple[str, int], token: bytes, model_dir: str, name: str, settings: ServerSettings) -> Task:
    """Return the function of a task: start a server, report its URL, and run it until the driver disconnects."""

    def task(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        context = BarrierTaskContext.get()
        number = context.partitionId()
        host = context.getTaskInfos()[number].address.rpartition(":")[0]
        devices = tuple(context.resources()["gpu"].addresses) if settings.gpus else ()
        dtype = served_dtype(settings.dtype)
        address = {"host": host, "port": settings.port + number}
        own_settings = settings.model_copy(update=address | {"dtype": dtype, "devices": devices})
        output = Path(SparkFiles.getRootDirectory()) / f"vllm-{name}-{number}.log"
        with socket.create_connection(driver, timeout=STAGE_SECONDS) as connection:
            connection.sendall(token)
            hold(VllmServer(model_dir, name, own_settings, output), connection)
        yield from ()

    return task


def hold(server: VllmServer, connection: socket.socket) -> None:
    """Run a server while the connection to the driver is open; report its URL or its fault on the connection."""

    def report(**facts: str) -> None:
        if _is_open(connection):
            connection.sendall(json.dumps({"host": socket.gethostname(), **facts}).encode() + b"\n")

    def still_wanted(_: float) -> None:
        if not _is_open(connection):
            raise ServerError("the driver has gone")

    try:
        if not Path(server.model_dir).is_dir():
            missing = f"{server.model_dir} does not exist on this host"
            raise ServerError(f"{missing}; models_dir must be a folder that every executor mounts")
        server.start(on_wait=still_wanted)
        report(endpoint=server.endpoint)
        while server.alive and _is_open(connection, POLL_SECONDS):
            pass
    except (ServerError, OSError) as error:
        report(fault=str(error))
    finally:
        server.stop()


def is_local(spark: SparkSession) -> bool:
    """Return whether Spark runs in one process, where it assigns no resources to tasks."""
    return (spark.conf.get("spark.master") or "").startswith("local[")


def _profile(spark: SparkSession, gpus: int) -> ResourceProfile | None:
    """Return the resource profile of a task that runs a server; None in local mode, where Spark has no profiles."""
    if is_local(spark):
        return None
    resources = TaskResourceRequests().cpus(1)
    return ResourceProfileBuilder().require(resources.resource("gpu", gpus) if gpus else resources).build


def _is_open(connection: socket.socket, seconds: float = 0.0) -> bool:
    """Wait up to `seconds` for the other end, which sends nothing, to disconnect; return True if it does not."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return not poll.poll(1000 * seconds)
