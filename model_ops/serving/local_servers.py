"""This machine's servers of one model: one for each share of its GPUs, or one on the CPU."""

from pathlib import Path

from model_ops.devices import shares
from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import ServerError, VllmServer


class LocalServers:
    """They start, answer and stop together."""

    def __init__(
        self,
        model_dir: str,
        name: str,
        settings: ServerSettings,
        logs: Path,
        gpus: tuple[str, ...],
        server: type[VllmServer] = VllmServer,
    ) -> None:
        """Start nothing yet; the n-th server listens on the n-th port after `settings.port`.

        `gpus` are those of this machine that may be used.

        Raises:
            ServerError: there are GPUs, but fewer than one server is to have.
        """
        self.name = name
        devices = shares(gpus, settings.gpus)
        if gpus and not devices:
            raise ServerError(f"serving.gpus={settings.gpus}: this machine has fewer GPUs; lower it")
        self.servers = []
        for n, share in enumerate(devices or [()]):
            own = settings.model_copy(update={"port": settings.port + n, "devices": share})
            self.servers.append(server(model_dir, name, own, logs / f"vllm-{name}-{n}.log"))

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
