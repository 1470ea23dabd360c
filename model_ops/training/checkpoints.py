"""Folders of models: what makes one usable, what names its contents, and what it was made from."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from model_ops import weights
from model_ops.text.chat import ChatFormat
from model_ops.text.codec import ChatFormatError

MANIFEST = "manifest.json"
SERVED_SUFFIXES = {".safetensors", ".json", ".jinja", ".model"}


class ModelFolderError(ValueError):
    """A folder that does not hold the model that is asked of it."""


@dataclass(frozen=True)
class Manifest:
    """What a trained model was made from and how; lies beside its weights as `manifest.json`."""

    table: str
    table_version: int
    dataset: str
    n_rows: int
    n_examples: int
    """Rows trained on; the others are held out."""
    content_digest: str
    base_model: str
    base_digest: str
    config_digest: str
    settings: dict[str, Any]
    dtype: str
    device: str
    n_processes: int
    packages: dict[str, str]
    metrics: dict[str, float]
    digest: str
    """`folder_digest` of the model."""

    def write(self, folder: Path) -> None:
        """Write it beside the weights."""
        (folder / MANIFEST).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def folder_digest(folder: Path) -> str:
    """sha256 over the files that are served (weights, also an adapter's, configuration, tokenizer), by name, hex.

    It is that of one line `<file's sha256>  <name>` per file, so `sha256sum` can check it.
    """
    found = (*folder.iterdir(), *folder.glob("adapter/*.safetensors"))
    files = sorted(f for f in found if f.suffix in SERVED_SUFFIXES and f.name != MANIFEST)
    with ThreadPoolExecutor(max_workers=4) as pool:
        digests = list(pool.map(_sha256, files))
    lines = "".join(f"{digest}  {file.relative_to(folder)}\n" for digest, file in zip(digests, files, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def check_model_folder(folder: Path) -> None:
    """Make sure that a folder holds a causal language model that can be trained and served.

    Raises:
        ModelFolderError: says what is missing.
    """
    if not folder.is_dir():
        raise ModelFolderError(f"{folder}: no such folder; a model is a folder of config.json and safetensors")
    config = _json(folder / "config.json")
    architectures = config.get("architectures") or []
    if not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in architectures):
        found = ", ".join(architectures) or "none"
        raise ModelFolderError(f"{folder}/config.json: no causal language model; its architectures: {found}")
    shards = ["model.safetensors"]
    if (folder / "model.safetensors.index.json").is_file():
        shards = sorted(set(_json(folder / "model.safetensors.index.json")["weight_map"].values()))
    missing = [shard for shard in shards if not (folder / shard).is_file()]
    if missing:
        names = ", ".join(missing[:3])
        raise ModelFolderError(
            f"{folder} lacks {len(missing)} of {len(shards)} weight files in safetensors, e.g. {names};"
            " other formats are not read: they can run code"
        )
    try:
        ChatFormat.load(folder)
    except ChatFormatError as error:
        raise ModelFolderError(str(error)) from error


def read_manifest(folder: Path) -> Manifest:
    """What the model in a folder was made from.

    Raises:
        ModelFolderError: there is no manifest, or it is not one of ours.
    """
    values = _json(folder / MANIFEST)
    expected, found = {f.name for f in fields(Manifest)}, set(values)
    if expected != found:
        faults = [f"lacks {name}" for name in sorted(expected - found)]
        faults += [f"has an unknown {name}" for name in sorted(found - expected)]
        raise ModelFolderError(f"{folder / MANIFEST} {', '.join(faults)}; was it written by model_ops.train?")
    return Manifest(**values)


def check_trained_model(folder: Path) -> Manifest:
    """The manifest of a model that came back from training, its files checked against it.

    Raises:
        ModelFolderError: it is no usable model, not the files that the manifest names, or its weights are not finite.
    """
    manifest = read_manifest(folder)
    check_model_folder(folder)
    digest = folder_digest(folder)
    if digest != manifest.digest:
        raise ModelFolderError(
            f"{folder}: its files have the digest {digest}, its manifest says {manifest.digest};"
            " the copy is incomplete or a file was changed: copy it again"
        )
    if fault := weights.fault(folder):
        raise ModelFolderError(f"{folder}: {fault}; the training diverged: train again with a lower learning_rate")
    return manifest


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise ModelFolderError(f"{file.parent} has no {file.name}")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelFolderError(f"{file}: not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise ModelFolderError(f"{file}: not a JSON object")
    return values


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
