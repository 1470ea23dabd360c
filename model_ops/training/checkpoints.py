"""Model folders: checks that one is usable, digests of its files, and the manifest of its training."""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any

from model_ops import weights
from model_ops.text.chat import ChatFormat
from model_ops.text.codec import ChatFormatError

MANIFEST = "manifest.json"
# Suffixes of the files served from the top of a folder. Release 0.2.0 digested these and an adapter's weights only.
SERVED_SUFFIXES = {".safetensors", ".json", ".jinja", ".model"}
# Names of files and folders that neither vLLM nor transformers reads. Every other file counts as one that may change
# the answers. Weights in formats that can run code are never loaded.
UNREAD = (
    *(".*", "readme*", "licen[sc]e*", "notice*", "use_policy*", "changelog*", "*.md", "*.log", "*.pdf"),
    *("*.png", "*.jpg", "*.jpeg", "*.gif", "*.svg"),
    *("training_args.*", "trainer_state.json", "optimizer.*", "scheduler.*", "rng_state*", "scaler.pt", "*tfevents*"),
    *("checkpoint-*", "runs", "wandb", "original", "onnx", "__pycache__"),
    *("pytorch_model*", "consolidated*.pth", "tf_model.h5", "flax_model*", "*.onnx", "*.gguf"),
)


class ModelFolderError(ValueError):
    """A folder that does not hold the expected model."""


@dataclass(frozen=True)
class Manifest:
    """The inputs and results of a training, stored beside the weights as `manifest.json`."""

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
    files: dict[str, str] = field(default_factory=dict)
    """`file_digests` of the model; empty from release 0.2.0, whose digest is `first_digest`."""
    reference: list[dict[str, list[int]]] = field(default_factory=list)
    """Prompts and the trained model's greedy answers, as token ids; empty from release 0.3.0 and before."""

    def write(self, folder: Path) -> None:
        """Write the manifest as JSON beside the weights."""
        (folder / MANIFEST).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def file_digests(folder: Path) -> dict[str, str]:
    """Map each file that may change answers to its sha256 in hex: weights, configuration, tokenizer, adapter.

    These are the files at the top with one of `SERVED_SUFFIXES`, without the manifest, and all others whose path
    matches no pattern of `UNREAD`.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file() and _is_read(file.relative_to(folder)))
    with ThreadPoolExecutor(max_workers=4) as pool:
        digests = list(pool.map(_sha256, files))
    return {file.relative_to(folder).as_posix(): digest for file, digest in zip(files, digests, strict=True)}


def _is_read(name: PurePath) -> bool:
    if len(name.parts) == 1 and name.suffix in SERVED_SUFFIXES:
        return name.name != MANIFEST
    return not any(fnmatchcase(part.lower(), pattern) for part in name.parts for pattern in UNREAD)


def digest_of(files: Mapping[str, str]) -> str:
    """Return the sha256 in hex of one line `<file's sha256>  <name>` per file, which `sha256sum` can check."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in files.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def folder_digest(folder: Path) -> str:
    """Return the digest of all files and names in a folder that may change the model's answers."""
    return digest_of(file_digests(folder))


def first_digest(files: Mapping[str, str]) -> str:
    """Return the digest of release 0.2.0, over fewer files, so that models registered with it stay valid.

    It equals `digest_of` if a folder has no other files, such as an adapter's settings or a vocabulary in a text file.
    """
    return digest_of({name: digest for name, digest in files.items() if _was_digested(PurePath(name))})


def _was_digested(name: PurePath) -> bool:
    is_own, is_adapters = len(name.parts) == 1, name.parts[:-1] == ("adapter",)
    return (is_own and name.suffix in SERVED_SUFFIXES) or (is_adapters and name.suffix == ".safetensors")


def check_model_folder(folder: Path) -> None:
    """Check that a folder holds a causal language model that can be trained and served.

    Raises:
        ModelFolderError: names the missing or wrong part.
    """
    if not folder.is_dir():
        raise ModelFolderError(f"{folder}: no such folder; a model is a folder of config.json and safetensors")
    config = _json(folder / "config.json")
    architectures = config.get("architectures") or []
    if not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in architectures):
        listed = ", ".join(architectures) or "none"
        raise ModelFolderError(f"{folder}/config.json: not a causal language model; its architectures: {listed}")
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
    """Read the manifest of the model in a folder.

    Raises:
        ModelFolderError: there is no manifest, or it has other fields than `Manifest`.
    """
    values = _json(folder / MANIFEST)
    known, given = {f.name for f in fields(Manifest)}, set(values)
    faults = [f"lacks {name}" for name in sorted(known - given - {"files", "reference"})]
    faults += [f"has an unknown {name}" for name in sorted(given - known)]
    if faults:
        raise ModelFolderError(f"{folder / MANIFEST} {', '.join(faults)}; was it written by model_ops.train?")
    return Manifest(**values)


def check_trained_model(folder: Path) -> Manifest:
    """Check a trained model's files against its manifest, and return the manifest.

    Raises:
        ModelFolderError: the model is unusable, its files differ from the manifest, or its weights are not finite.
    """
    manifest = read_manifest(folder)
    check_model_folder(folder)
    files = file_digests(folder)
    digest = digest_of(files) if manifest.files else first_digest(files)
    if digest != manifest.digest:
        raise ModelFolderError(
            f"{folder}: its files have the digest {digest}, its manifest says {manifest.digest}"
            f"{_differences(manifest.files, files)}; the copy is incomplete or a file was changed: copy it again"
        )
    if fault := weights.fault(folder):
        raise ModelFolderError(f"{folder}: {fault}; the training diverged: train again with a lower learning_rate")
    return manifest


def _differences(trained: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Describe the files that differ, as the middle of a sentence; empty if the manifest has no digests of files."""
    if not trained:
        return ""
    differ = {name: "changed" for name in trained.keys() & found.keys() if trained[name] != found[name]}
    differ |= dict.fromkeys(trained.keys() - found.keys(), "missing")
    differ |= dict.fromkeys(found.keys() - trained.keys(), "new")
    if not differ:
        return ""
    names = [f"{name} is {how}" for name, how in sorted(differ.items())]
    return f": {len(names)} of {len(trained)} files differ, e.g. {', '.join(names[:3])}"


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
