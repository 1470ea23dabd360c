"""A vLLM server that a run starts on loopback, watches, and stops however the run ends."""

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

# No sampling defaults from the model, and llguidance for constraints: xgrammar, vLLM's default, is slow at a rating's
# `[^\n]{1,1200}` and blocks the loop that all requests share (docs/numbers.md).
SAME_FOR_ALL = ("--generation-config", "vllm", "--structured-outputs-config", '{"backend": "guidance"}')


class ServerError(RuntimeError):
    """A server that could not be started; if it printed a log, the message ends with its last lines."""


class VllmServer:
    """One vLLM process that serves `model_dir` under `name`."""

    def __init__(self, model_dir: str, name: str, settings: ServerSettings, log: Path) -> None:
        """Configure a server without starting it; `log` is the file for its output."""
        self.model_dir = model_dir
        self.name = name
        self.settings = settings
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._claim: socket.socket | None = None

    @property
    def endpoint(self) -> str:
        """The base URL of the server's API."""
        return f"http://{self.settings.host}:{self.settings.port}/v1"

    @property
    def alive(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.poll() is None

    def command(self) -> list[str]:
        """Return the command line that starts the server."""
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
            # A shared prompt prefix is reused in whole blocks, by default of 128 tokens on a CPU. `uni`, with the
            # environment of `cpu_environment`, saves a second process that imports vLLM (11 s).
            line += ["--block-size", "32", "--distributed-executor-backend", "uni"]
        if len(s.devices) > 1:
            line += ["--tensor-parallel-size", str(len(s.devices))]
        if s.eager:
            line.append("--enforce-eager")
        if s.lora_rank is not None:
            line += ["--enable-lora", "--max-lora-rank", str(served_rank(s.lora_rank))]
        return [*line, *s.extra]

    def start(self, on_wait: Callable[[float], None] | None = None) -> None:
        """Start the server and wait until it answers; `on_wait` receives the seconds waited so far.

        Raises:
            ServerError: the port is taken, weights are not finite, the process ended, or it took longer than allowed.
        """
        self.launch()
        self.wait(on_wait)

    def launch(self) -> None:
        """Start the process, from the main thread only: Linux ends the process with the thread that started it.

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
        """Wait until the server answers, and stop it if it does not.

        Raises:
            ServerError: the process ended, or it took longer than `start_timeout`.
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
        """End the server and all its processes; harmless if none runs."""
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
    """Check that no weight of a model or its adapter is NaN or infinite, which vLLM does not check.

    Raises:
        ServerError: says how many are not finite, and names one tensor.
    """
    if fault := weights.fault(folder):
        raise ServerError(
            f"{folder} is not served: {fault}; train it again with a lower learning_rate, or take a sound copy"
        )


def served_rank(lora_rank: int) -> int:
    """Return the smallest of vLLM's ranks that holds an adapter of `lora_rank`."""
    return min(rank for rank in LORA_RANKS if rank >= lora_rank)


def cpu_environment(kv_cache_gb: int, eager: bool) -> dict[str, str]:
    """Return the environment in which vLLM uses all cores and frees them while idle; `eager` disables compilation."""
    cores = str(len(os.sched_getaffinity(0)))
    openmp = Path(sys.prefix) / "lib" / "libiomp5.so"  # part of vLLM's CPU build; its manual recommends it
    environment = {
        "VLLM_CPU_KVCACHE_SPACE": str(kv_cache_gb),
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "OMP_NUM_THREADS": cores,  # else vLLM computes on one core while it serves
        "KMP_BLOCKTIME": "1",
    }
    if eager:
        # --enforce-eager still compiles a function of the log-probabilities, with a C++ compiler that may be missing.
        environment["TORCH_COMPILE_DISABLE"] = "1"
    if openmp.is_file():
        environment["LD_PRELOAD"] = str(openmp)
    return environment


def _claimed_port(settings: ServerSettings) -> socket.socket:
    """Check that the port is free, and claim it against other runs: vLLM binds it only half a minute later.

    The claim is an abstract socket address: it lasts while the socket is open, and is local to a network namespace.

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
    """Ask Linux to end this new process when its parent dies, even by SIGKILL; for `preexec_fn`."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
