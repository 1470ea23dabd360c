"""vLLM servers on Spark's executors: a barrier stage whose tasks each hold one for as long as the driver wants it.

A server listens at the address that its executor has within the cluster, and answers whoever has the
run's key. It ends with the connection between its task and the driver, however that ends; and Linux
ends it with its task.
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
LOOK_SECONDS = 1.0
STAGE_SECONDS = 60.0  # for Spark to start the stage, and to end it

log = logging.getLogger(__name__)

Task = Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]


class ExecutorServers:
    """So many servers of one model, each held by a task."""

    def __init__(self, spark: SparkSession, model_dir: str, name: str, settings: ServerSettings, n: int) -> None:
        """Nothing is started yet; the n-th server listens on the n-th port after `settings.port`."""
        self.name = name
        self.endpoints: tuple[str, ...] = ()
        self._spark, self._model_dir, self._settings, self._n = spark, model_dir, settings, n
        self._lines: list[socket.socket] = []
        self._stage: InheritableThread | None = None
        self._tag = f"humpback-servers-{name}"
        self._fault = "its tasks ended"

    @property
    def alive(self) -> bool:
        """Whether every task still holds its server."""
        return bool(self._lines) and all(_is_open(line) for line in self._lines)

    def start(self) -> None:
        """Start them all, and wait until each answers.

        Raises:
            JobError: Spark is set up in a way that this can't work with.
            ServerError: a server did not start; names its host.
        """
        require_slots(self._spark, self._n, self._settings.gpus)
        conf = self._spark.conf
        host = str(conf.get("spark.driver.host"))
        try:
            with socket.create_server((str(conf.get("spark.driver.bindAddress", host)), 0)) as door:
                token = secrets.token_bytes(TOKEN_BYTES)
                driver = (host, door.getsockname()[1])
                task = hold_server(driver, token, self._model_dir, self.name, self._settings)
                self._stage = InheritableThread(target=self._run, args=(task,), daemon=True)
                self._stage.start()
                self._welcome(door, token)
            self.endpoints = tuple(self._endpoint(line) for line in self._lines)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the servers and their stage; harmless when there is none."""
        lines, self._lines = self._lines, []
        for line in lines:
            line.close()
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.join(STAGE_SECONDS if lines else 0)
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
        if self._lines:
            log.warning("servers ended model=%s: %s", self.name, self._fault)

    def _welcome(self, door: socket.socket, token: bytes) -> None:
        """Wait for every task to come through the door; whoever lacks the token is sent away."""
        door.settimeout(LOOK_SECONDS)
        deadline = time.monotonic() + STAGE_SECONDS
        while len(self._lines) < self._n:
            if not (self._stage and self._stage.is_alive()):
                raise ServerError(f"the stage that was to start servers on Spark's executors ended: {self._fault}")
            if time.monotonic() > deadline:
                raise ServerError(
                    f"only {len(self._lines)} of {self._n} tasks that hold a server were started within "
                    f"{STAGE_SECONDS:.0f} s; serving.executors must not exceed the executors that have a core (and "
                    "serving.gpus GPUs) free at once"
                )
            try:
                line = door.accept()[0]
                line.settimeout(LOOK_SECONDS)
                if hmac.compare_digest(line.recv(TOKEN_BYTES, socket.MSG_WAITALL), token):
                    self._lines.append(line)
                else:
                    line.close()
            except OSError:  # nobody yet, or one who left
                continue

    def _endpoint(self, line: socket.socket) -> str:
        """Where the server of a task answers, once it does."""
        line.settimeout(self._settings.start_timeout + STAGE_SECONDS)
        try:
            with line.makefile("r") as text:
                said = text.readline()
        except OSError as error:
            raise ServerError(f"a task does not say whether its server has started: {error}") from error
        if not said:
            raise ServerError(f"a task ended before its server had started: {self._fault}")
        facts = json.loads(said)
        if "fault" in facts:
            raise ServerError(f"on {facts['host']}: {facts['fault']}")
        return str(facts["endpoint"])


def require_slots(spark: SparkSession, n: int, gpus: int) -> None:
    """Check that servers on executors leave the other tasks what they need.

    Raises:
        JobError: names the setting that is in the way.
    """
    conf = spark.conf
    if conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        raise JobError(
            "serving.executors needs executors that stay; start with spark.dynamicAllocation.enabled=false, or name "
            "serving.endpoints"
        )
    if gpus and float(conf.get("spark.task.resource.gpu.amount", "0") or 0):
        raise JobError(
            "spark.task.resource.gpu.amount is set, so that every task would wait for the GPUs that the servers hold; "
            "start without it: serving.gpus says what the servers' own tasks take"
        )
    if gpus and (is_local(spark) or not conf.get("spark.executor.resource.gpu.amount", "")):
        raise JobError(
            f"serving.gpus={gpus} asks Spark for GPUs that it does not know of; start with "
            "spark.executor.resource.gpu.amount on a cluster, or set serving.gpus=0"
        )
    cores = jvm.n_cores(spark)
    if cores <= n:
        raise JobError(f"serving.executors={n} would hold all {cores} cores; the tasks that ask the servers need more")


def hold_server(driver: tuple[str, int], token: bytes, model_dir: str, name: str, settings: ServerSettings) -> Task:
    """What each task does: start its server, say where it answers, and hold it until the driver hangs up."""

    def task(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        context = BarrierTaskContext.get()
        number = context.partitionId()
        host = context.getTaskInfos()[number].address.rpartition(":")[0]
        devices = tuple(context.resources()["gpu"].addresses) if settings.gpus else ()
        dtype = served_dtype(settings.dtype)
        place = {"host": host, "port": settings.port + number}
        own = settings.model_copy(update=place | {"dtype": dtype, "devices": devices})
        output = Path(SparkFiles.getRootDirectory()) / f"vllm-{name}-{number}.log"
        with socket.create_connection(driver, timeout=STAGE_SECONDS) as line:
            line.sendall(token)
            hold(VllmServer(model_dir, name, own, output), line)
        yield from ()

    return task


def hold(server: VllmServer, line: socket.socket) -> None:
    """Serve while the line to the driver is open; a server that can't is told of on it."""

    def say(**facts: str) -> None:
        if _is_open(line):
            line.sendall(json.dumps({"host": socket.gethostname(), **facts}).encode() + b"\n")

    def still_wanted(_: float) -> None:
        if not _is_open(line):
            raise ServerError("the driver has gone")

    try:
        if not Path(server.model_dir).is_dir():
            raise ServerError(f"{server.model_dir} is not here; models_dir must be a folder that every executor mounts")
        server.start(on_wait=still_wanted)
        say(endpoint=server.endpoint)
        while server.alive and _is_open(line, LOOK_SECONDS):
            pass
    except (ServerError, OSError) as error:
        say(fault=str(error))
    finally:
        server.stop()


def is_local(spark: SparkSession) -> bool:
    """Whether Spark runs in one process, where its tasks share out no resources."""
    return (spark.conf.get("spark.master") or "").startswith("local[")


def _profile(spark: SparkSession, gpus: int) -> ResourceProfile | None:
    """What a task that holds a server takes; Spark has no such thing on a single machine."""
    if is_local(spark):
        return None
    needs = TaskResourceRequests().cpus(1)
    return ResourceProfileBuilder().require(needs.resource("gpu", gpus) if gpus else needs).build


def _is_open(line: socket.socket, seconds: float = 0.0) -> bool:
    """Wait up to `seconds` for the other end, which sends nothing, to hang up; True if it does not."""
    ear = select.poll()
    ear.register(line, select.POLLIN)
    return not ear.poll(1000 * seconds)
