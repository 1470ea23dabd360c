"""This machine's servers of one model: one for each share of its GPUs, or one on the CPU."""

from pathlib import Path

from model_ops.devices import shares
from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import ServerError, VllmServer


class LocalServers:
    """A group of servers of one model that start and stop together."""

    def __init__(
        self,
        model_dir: str,
        name: str,
        settings: ServerSettings,
        logs: Path,
        gpus: tuple[str, ...],
        server: type[VllmServer] = VllmServer,
    ) -> None:
        """Configure one server per share of `gpus`, without a start; server n, from 0, listens on `settings.port` + n.

        Raises:
            ServerError: there are GPUs, but fewer than `settings.gpus`.
        """
        self.name = name
        devices = shares(gpus, settings.gpus)
        if gpus and not devices:
            raise ServerError(f"serving.gpus={settings.gpus}: this machine has only {len(gpus)} GPUs; lower it")
        self.servers = []
        for n, share in enumerate(devices or [()]):
            options = settings.model_copy(update={"port": settings.port + n, "devices": share})
            self.servers.append(server(model_dir, name, options, logs / f"vllm-{name}-{n}.log"))

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The base URL of each server."""
        return tuple(server.endpoint for server in self.servers)

    @property
    def alive(self) -> bool:
        """Whether the processes of all servers run."""
        return all(server.alive for server in self.servers)

    def start(self) -> None:
        """Start all servers at once, and wait until each answers.

        Raises:
            ServerError: a port is taken, or a server ended or took longer than allowed; all are stopped again.
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
        """Stop all servers; harmless if none runs."""
        for server in self.servers:
            server.stop()
