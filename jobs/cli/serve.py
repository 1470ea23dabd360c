"""`humpback serve`: start an OpenAI-compatible server of a registered model, and stop it when the command ends."""

import logging
import time
from argparse import Namespace
from pathlib import Path

from jobs.cli.printing import say
from jobs.errors import JobError
from jobs.lake.names import suggestion
from jobs.lake.view import LakeView, Row
from model_ops.client.endpoint import Endpoint, key_from_environment
from model_ops.client.handshake import require_parity
from model_ops.devices import gpus, served_dtype
from model_ops.serving.local_servers import LocalServers
from model_ops.serving.settings import ServerSettings
from model_ops.training.checkpoints import check_trained_model

log = logging.getLogger(__name__)

MODEL = "SELECT path, digest FROM ops.models WHERE model_id = $model_id"
MODELS = "SELECT model_id FROM ops.models ORDER BY 1"
PAUSE = 1.0  # seconds between looks at the servers


def serve(view: LakeView, options: Namespace) -> None:
    """Serve a model of the lake on loopback, one server per GPU or one on the CPU, until Ctrl-C or SIGTERM.

    The server formats messages with the model's chat template. It asks for the key in HUMPBACK_API_KEY, if it is set.

    Raises:
        JobError: there is no such model, its folder is gone, or a server ended by itself.
        ModelFolderError: the files in the folder are not those that were registered.
        ServerError: a server cannot be started.
        HandshakeError: a server answers otherwise than the model's training did.
    """
    model, reference = _model(view, options.model_id)
    servers = LocalServers(model["path"], options.model_id, _settings(options), view.folder("logs"), gpus())
    log.info("starting the server of %s; its output is in %s", options.model_id, servers.servers[0].log)
    try:
        servers.start()
        for url in servers.endpoints:
            require_parity(Endpoint(url, key_from_environment()), options.model_id, reference)
        say([f"{options.model_id}: {' '.join(servers.endpoints)} (end with Ctrl-C)"])
        while servers.alive:
            time.sleep(PAUSE)
        raise JobError(f"the server of {options.model_id} ended by itself; see {servers.servers[0].log}")
    except KeyboardInterrupt:
        log.info("stopping the server of %s", options.model_id)
    finally:
        servers.stop()


def _model(view: LakeView, model_id: str) -> tuple[Row, list[dict[str, list[int]]]]:
    """Return the model's row in `ops.models` after a check of its folder, and its reference answers."""
    rows = view.rows(MODEL, {"model_id": model_id})
    if not rows:
        names = [row["model_id"] for row in view.rows(MODELS)]
        raise JobError(
            f"{model_id}: no such model in {view.root}{suggestion(model_id, names)}; "
            'humpback sql "SELECT model_id FROM ops.models" lists them'
        )
    folder = Path(rows[0]["path"])
    if not folder.is_dir():
        raise JobError(f"{model_id}: its folder {folder} is not on this machine; copy it here, or serve it where it is")
    manifest = check_trained_model(folder)
    if manifest.digest != rows[0]["digest"]:
        raise JobError(f"{model_id}: {folder} holds another model than the registered one; copy the right folder there")
    return rows[0], manifest.reference


def _settings(options: Namespace) -> ServerSettings:
    return ServerSettings(
        gpus=1 if gpus() else 0,
        port=options.port,
        dtype=served_dtype("auto"),
        max_model_len=options.max_model_len,
        max_num_seqs=options.max_num_seqs,
        eager=options.eager,
        key=key_from_environment(),
    )
