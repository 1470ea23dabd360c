"""Train one model on one published data set, in a separate process without Spark or a JVM.

    python -m model_ops.train --table PATH --version N --dataset NAME --expect-rows N \\
        --expect-digest HEX --base-model DIR --settings JSON --config-digest HEX --out DIR

or, for several GPUs, `accelerate launch --num_processes 8 -m model_ops.train …`; with the setting `sharding = "full"`
they share the weights. The folder appears complete, with its manifest, or not at all. A training that was killed
continues from its last checkpoint in the folder `<out>.checkpoints` when the same command is run again.
"""

import argparse
import logging
import math
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from model_ops import weights
from model_ops.text.chat import ChatFormat
from model_ops.text.codec import ChatFormatError
from model_ops.training.checkpoints import (
    MANIFEST,
    Manifest,
    ModelFolderError,
    check_model_folder,
    digest_of,
    file_digests,
    folder_digest,
    read_manifest,
)
from model_ops.training.dataset import Splits, check_rows, examples, read_rows
from model_ops.training.resume import Checkpoints
from model_ops.training.settings import TrainingError, TrainingSettings, parse_settings
from model_ops.training.whole_folder import whole_folder

log = logging.getLogger("model_ops.train")  # this module runs as __main__

PACKAGES = ("accelerate", "deltalake", "humpback", "peft", "tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class Training:
    """The command line: rows, base model, settings, and output folder."""

    table: str
    version: int
    dataset: str
    expect_rows: int
    expect_digest: str
    base_model: Path
    settings: TrainingSettings
    config_digest: str
    out: Path

    def inputs(self, base_digest: str) -> dict[str, Any]:
        """Return the fields of the manifest that determine the result."""
        return {
            "dataset": self.dataset,
            "n_rows": self.expect_rows,
            "content_digest": self.expect_digest,
            "base_digest": base_digest,
            "config_digest": self.config_digest,
            "settings": self.settings.result_settings(),
        }

    def checkpoints(self, inputs: dict[str, Any]) -> Checkpoints:
        """Return the checkpoints of this training, in a folder beside the model's."""
        return Checkpoints(self.out.with_name(f"{self.out.name}.checkpoints"), inputs)


def run(training: Training, *, dry_run: bool = False) -> None:
    """Check all inputs, train, and move the model to its folder; a dry run checks only.

    Raises:
        TrainingError, ModelFolderError: the rows, the base model or the output folder do not match, or the
            training diverges.
    """
    check_model_folder(training.base_model)
    inputs = training.inputs(folder_digest(training.base_model))
    checkpoints = training.checkpoints(inputs)
    if _is_done(training.out, inputs):
        log.info("%s: trained already on these rows with these settings", training.out)
        checkpoints.remove()  # a process that was killed after its last step has left them
        return
    if dry_run:
        _examples(training, _chat(training))
        return
    is_main = os.environ.get("RANK", "0") == "0"
    with whole_folder(training.out, is_main=is_main) as folder:
        metrics = _train(training, inputs, folder, checkpoints, is_main=is_main)
    if is_main:
        _is_done(training.out, inputs)
        checkpoints.remove()
        log.info("%s: %s", training.out, " ".join(f"{k}={v:.4g}" for k, v in metrics.items()))


def _train(
    training: Training, inputs: dict[str, Any], folder: Path, checkpoints: Checkpoints, *, is_main: bool
) -> dict[str, float]:
    """Train into a folder, write its manifest, and return the metrics."""
    chat = _chat(training)
    examples = _examples(training, chat)
    # Imports torch and transformers, which the earlier checks do not need.
    from model_ops.training.fit import fit

    fitted = fit(training.settings, training.base_model, chat.end_id, examples, folder, checkpoints)
    if is_main:
        _require_finite(folder, training, fitted.metrics)
        files = file_digests(folder)
        Manifest(
            **inputs | {"settings": training.settings.model_dump(mode="json")},
            **asdict(fitted),
            table=training.table,
            table_version=training.version,
            n_examples=len(examples.train),
            base_model=str(training.base_model),
            packages={name: version(name) for name in PACKAGES},
            digest=digest_of(files),
            files=files,
        ).write(folder)
    return fitted.metrics


def _chat(training: Training) -> ChatFormat:
    """Check that the base model's weights are finite, and load its chat format."""
    if fault := weights.fault(training.base_model):
        raise TrainingError(f"{training.base_model}: {fault}; take a sound copy of the base model")
    return ChatFormat.load(training.base_model)


def _require_finite(folder: Path, training: Training, metrics: dict[str, float]) -> None:
    """Check that weights and metrics are finite: the last step, or the saved number format, can make them infinite."""
    fault = weights.fault(folder)
    faults = [fault] if fault else [f"{k} is {v}" for k, v in metrics.items() if not math.isfinite(v)]
    if faults:
        raise TrainingError(
            f"diverged: after step {metrics['steps']:.0f}, the last, {'; '.join(faults)}; lower learning_rate, "
            f"which is {training.settings.learning_rate:g}"
        )


def _is_done(out: Path, inputs: dict[str, Any]) -> bool:
    if not out.exists():
        return False
    if not (out / MANIFEST).exists():
        raise TrainingError(f"{out} exists and holds no finished training; remove it or name another --out")
    manifest = vars(read_manifest(out))
    manifest["settings"] = _result_settings(manifest["settings"])
    differ = [name for name, value in inputs.items() if manifest[name] != value]
    if differ:
        raise TrainingError(
            f"{out} holds another training: {', '.join(differ)} differ; remove it or name another --out"
        )
    return True


def _result_settings(recorded: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a manifest that determine its model; a setting of a later release has its default."""
    try:
        return TrainingSettings.model_validate(recorded).result_settings()
    except ValidationError:  # of a later release
        return recorded


def _examples(training: Training, chat: ChatFormat) -> Splits:
    rows = read_rows(training.table, training.version, training.dataset)
    check_rows(rows, training.dataset, (training.expect_rows, training.expect_digest))
    limit = training.settings.max_length
    train = examples(rows, "train", chat, limit)
    dev = examples(rows, "dev", chat, limit)[: training.settings.dev_examples]
    if not train:
        raise TrainingError(f"{training.dataset} has no rows in the split train, and {len(dev)} in the split dev")
    splits = Splits(train, dev)
    log.info(
        "dataset=%s train=%d dev=%d tokens=%d longest=%d",
        training.dataset,
        len(train),
        len(dev),
        splits.tokens,
        max(map(len, train)),
    )
    return splits


def parse(argv: Sequence[str] | None) -> tuple[Training, bool]:
    """Parse the command line, and return whether it asks for a dry run."""
    parser = argparse.ArgumentParser(
        prog="python -m model_ops.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--table", required=True, help="path or URI of gold.training_examples")
    parser.add_argument("--version", type=int, required=True, help="version of the table that was released")
    parser.add_argument("--dataset", required=True, help="e.g. paper/forward-1")
    parser.add_argument("--expect-rows", type=int, required=True, help="rows of the data set, from ops.releases")
    parser.add_argument("--expect-digest", required=True, help="content_digest of the data set, from ops.releases")
    parser.add_argument("--base-model", type=Path, required=True, help="folder of the model to start from")
    parser.add_argument("--settings", required=True, help="the recipe's finetuning settings, JSON")
    parser.add_argument("--config-digest", required=True, help="digest of the recipe; register-model compares it")
    parser.add_argument("--out", type=Path, required=True, help="folder to create")
    parser.add_argument("--dry-run", action="store_true", help="check rows, lengths and base model, train nothing")
    values = vars(parser.parse_args(argv))
    dry_run = values.pop("dry_run")
    try:
        values["settings"] = parse_settings(values["settings"])
    except TrainingError as error:
        parser.error(str(error))
    return Training(**values), dry_run


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 success, 1 failure, 2 wrong usage, 130 interrupted."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("model_ops").setLevel(logging.INFO)
    # Models are local folders, so downloads are off. Tokenizing is fast enough on one thread.
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    # torch's threads must not spin while they wait: beside another load that made training many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    signal.signal(signal.SIGTERM, _end)
    training, dry_run = parse(argv)
    try:
        run(training, dry_run=dry_run)
    except (TrainingError, ModelFolderError, ChatFormatError, OSError) as error:
        sys.stderr.write(f"training {training.dataset}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"training {training.dataset}: interrupted; the same command continues from its checkpoints\n")
        return 130
    return 0


def _end(signum: int, frame: object) -> NoReturn:
    """Exit by an exception, so that the unfinished folder is removed."""
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
