"""This machine's servers of one model: one on each GPU, or one on the CPU."""

from dataclasses import replace
from pathlib import Path

from model_ops.devices import gpus
from model_ops.vllm_server import ServerSettings, VllmServer


class LocalServers:
    """They start, answer and stop together."""

    def __init__(self, model_dir: str, name: str, settings: ServerSettings, logs: Path) -> None:
        """Nothing is started yet; the n-th GPU's server listens on the n-th port after `settings.port`."""
        self.name = name
        found = gpus()
        self.servers = [
            VllmServer(model_dir, name, replace(settings, port=settings.port + n, devices=(gpu,)), log(logs, name, n))
            for n, gpu in enumerate(found)
        ] or [VllmServer(model_dir, name, settings, log(logs, name, 0))]

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The base URL of each."""
        return tuple(server.endpoint for server in self.servers)

    @property
    def alive(self) -> bool:
        """Whether all of them run."""
        return all(server.alive for server in self.servers)

    def start(self) -> None:
        """Start them side by side, and wait until each answers.

        Raises:
            ServerError: a port is taken, or a server ended or took longer than allowed; none is left.
        """
        try:
            for server in self.servers:
                server.launch()
            for server in self.servers:
                server.wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End them all; harmless where there is none."""
        for server in self.servers:
            server.stop()


def log(logs: Path, name: str, number: int) -> Path:
    """Where a server's output goes."""
    return logs / (f"vllm-{name}-{number}.log" if number else f"vllm-{name}.log")
