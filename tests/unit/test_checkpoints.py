import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from model_ops.training.checkpoints import (
    Manifest,
    ModelFolderError,
    check_model_folder,
    check_trained_model,
    folder_digest,
    read_manifest,
)
from tests.tiny_model import save_tokenizer
from tests.tiny_weights import write_weights

MANIFEST = Manifest(
    table="lake/gold/training_examples", table_version=3, dataset="demo/forward-0", n_rows=12, n_examples=10,
    content_digest="c" * 64, base_model="base", base_digest="b" * 64, config_digest="d" * 16, settings={"seed": 0},
    dtype="float32", device="CPU, 2 threads", n_processes=1, packages={"torch": "2"}, metrics={"train_loss": 2.5},
    digest="",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    save_tokenizer(path)
    (path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    write_weights(path / "model.safetensors", a=("BF16", [0x3F80]))
    return path


def test_a_model_folder_passes(folder: Path) -> None:
    check_model_folder(folder)


def test_a_sharded_model_passes_when_whole(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001.safetensors")
    index = {"weight_map": {"a": "model-00001.safetensors", "b": "model-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelFolderError, match=r"lacks 1 of 2 weight files in safetensors, e\.g\. model-00002"):
        check_model_folder(folder)
    (folder / "model-00002.safetensors").touch()
    check_model_folder(folder)


@pytest.mark.parametrize(
    ("file", "contents", "message"),
    [
        ("config.json", None, r"has no config\.json"),
        ("config.json", "{", r"config\.json: not valid JSON"),
        ("config.json", "[]", r"config\.json: not a JSON object"),
        ("config.json", '{"architectures": ["BertModel"]}', "no causal language model; its architectures: BertModel"),
        ("model.safetensors", None, r"lacks 1 of 1 weight files in safetensors, e\.g\. model\.safetensors"),
        ("tokenizer.json", None, r"has no tokenizer\.json"),
        ("chat_template.jinja", None, "has no chat template"),
    ],
)
def test_what_is_no_model(folder: Path, file: str, contents: str | None, message: str) -> None:
    (folder / file).unlink()
    if contents is not None:
        (folder / file).write_text(contents)
    with pytest.raises(ModelFolderError, match=message):
        check_model_folder(folder)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="no such folder"):
        check_model_folder(tmp_path / "none")


def test_the_digest_can_be_made_with_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("B")
    (tmp_path / "a.safetensors").write_text("A")
    lines = "".join(
        f"{hashlib.sha256(t.encode()).hexdigest()}  {n}\n" for n, t in [("a.safetensors", "A"), ("b.json", "B")]
    )
    assert folder_digest(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()


def test_the_digest_is_of_what_is_served(folder: Path) -> None:
    before = folder_digest(folder)
    (folder / "README.md").touch()
    (folder / "adapter").mkdir()
    MANIFEST.write(folder)
    assert folder_digest(folder) == before
    (folder / "chat_template.jinja").write_text("other")
    assert folder_digest(folder) != before


def test_the_digest_is_of_an_adapter_too(folder: Path) -> None:
    before = folder_digest(folder)
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "/here"}')
    after = folder_digest(folder)
    (folder / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "/there"}')
    assert before != after == folder_digest(folder)


def test_a_manifest_comes_back(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    assert read_manifest(tmp_path) == MANIFEST


def test_a_manifest_of_something_else(tmp_path: Path) -> None:
    values = asdict(MANIFEST) | {"colour": "red"}
    del values["digest"], values["table"]
    (tmp_path / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(ModelFolderError, match="lacks digest, lacks table, has an unknown colour"):
        read_manifest(tmp_path)


def test_a_copy_is_checked_against_its_manifest(folder: Path) -> None:
    manifest = replace(MANIFEST, digest=folder_digest(folder))
    manifest.write(folder)
    assert check_trained_model(folder) == manifest
    (folder / "model.safetensors").write_bytes(b"half")
    with pytest.raises(ModelFolderError, match="the copy is incomplete or a file was changed"):
        check_trained_model(folder)


def test_a_model_with_weights_that_are_not_finite_is_refused_though_its_manifest_agrees(folder: Path) -> None:
    write_weights(folder / "model.safetensors", a=("BF16", [0x3F80, 0x7F80]), b=("BF16", [0x7FC0]))
    replace(MANIFEST, digest=folder_digest(folder)).write(folder)
    said = "2 of 3 weights are NaN or infinite, in 2 of 2 tensors, e.g. 1 of the 2 in a; the training diverged"
    with pytest.raises(ModelFolderError, match=said):
        check_trained_model(folder)
