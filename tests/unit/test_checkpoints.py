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
    digest_of,
    file_digests,
    first_digest,
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


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "GPT2LMHeadModel"])
def test_a_model_folder_passes(folder: Path, architecture: str) -> None:
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
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
        ("config.json", "{}", "not a causal language model; its architectures: none$"),
        ("config.json", '{"architectures": ["BertModel", "T5Model"]}', "its architectures: BertModel, T5Model$"),
        ("model.safetensors", None, r"lacks 1 of 1 weight files in safetensors, e\.g\. model\.safetensors"),
        ("tokenizer.json", None, r"has no tokenizer\.json"),
        ("chat_template.jinja", None, "has no chat template"),
    ],
)
def test_folders_that_are_not_models(folder: Path, file: str, contents: str | None, message: str) -> None:
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


def test_the_digest_covers_the_served_files(folder: Path) -> None:
    before = folder_digest(folder)
    (folder / "README.md").touch()
    (folder / "adapter").mkdir()
    MANIFEST.write(folder)
    assert folder_digest(folder) == before
    (folder / "chat_template.jinja").write_text("other")
    assert folder_digest(folder) != before


@pytest.mark.parametrize(
    "name",
    [
        *(
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
        ),
        *("added_tokens.json", "tokenizer.model", "vocab.txt", "merges.txt", "qwen.tiktoken", "chat_template.jinja"),
        *("quantize_config.json", "hf_quant_config.json", "preprocessor_config.json", "modeling_own.py", "unheard.of"),
        *("model.safetensors", "model-00007.safetensors", "additional_chat_templates/tool_use.jinja"),
        *("adapter/adapter_config.json", "adapter/adapter_model.safetensors", "adapter/adapter_model.bin"),
    ],
)
def test_every_file_that_shapes_answers_is_in_the_digest(folder: Path, name: str) -> None:
    digests = [folder_digest(folder)]
    for contents in ("one", "other"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(contents)
        digests.append(folder_digest(folder))
    assert len(set(digests)) == 3
    (folder / name).rename((folder / name).with_name("other"))
    assert folder_digest(folder) not in digests


@pytest.mark.parametrize(
    "name",
    [
        *("README.md", "LICENSE", "LICENSE.txt", "NOTICE", "USE_POLICY.md", ".gitattributes", ".git/HEAD", "logo.png"),
        *("adapter/README.md", "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state_0.pth", "train.log"),
        *("checkpoint-500/model.safetensors", "runs/1/events.out.tfevents.1", "original/consolidated.00.pth"),
        *(
            "pytorch_model-00001-of-00002.bin",
            "tf_model.h5",
            "flax_model.msgpack",
            "model.Q4_1.gguf",
            "onnx/model.onnx",
        ),
        *(".cache/huggingface/download/config.json.metadata", "manifest.json"),
    ],
)
def test_files_that_no_program_reads_are_not_in_the_digest(folder: Path, name: str) -> None:
    before = folder_digest(folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("x")
    assert folder_digest(folder) == before


def test_release_0_2_0_had_the_same_digest_of_a_folder_without_other_files(folder: Path) -> None:
    """The rule of release 0.2.0, written again: these suffixes in the folder, and an adapter's weights."""
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "README.md").touch()
    MANIFEST.write(folder)
    found = (*folder.iterdir(), *folder.glob("adapter/*.safetensors"))
    suffixes = {".safetensors", ".json", ".jinja", ".model"}
    names = sorted(f for f in found if f.suffix in suffixes and f.name != "manifest.json")
    lines = "".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(folder)}\n" for f in names)
    of_release_0_2_0 = hashlib.sha256(lines.encode()).hexdigest()
    assert folder_digest(folder) == of_release_0_2_0
    (folder / "merges.txt").write_text("a b")
    (folder / "adapter" / "adapter_config.json").write_text("{}")
    (folder / "adapter" / "older").mkdir()
    (folder / "adapter" / "older" / "adapter_model.safetensors").write_bytes(b"weights")
    assert first_digest(file_digests(folder)) == of_release_0_2_0 != folder_digest(folder)


def test_a_manifest_round_trips(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    assert read_manifest(tmp_path) == MANIFEST


def test_a_manifest_of_something_else(tmp_path: Path) -> None:
    values = asdict(MANIFEST) | {"colour": "red"}
    del values["digest"], values["table"]
    (tmp_path / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(ModelFolderError, match="lacks digest, lacks table, has an unknown colour"):
        read_manifest(tmp_path)


def described(folder: Path) -> Manifest:
    """Return a manifest with the digests of a folder's files."""
    files = file_digests(folder)
    return replace(MANIFEST, digest=digest_of(files), files=files)


def test_a_copy_is_checked_against_its_manifest(folder: Path) -> None:
    manifest = described(folder)
    manifest.write(folder)
    assert check_trained_model(folder) == manifest
    (folder / "model.safetensors").write_bytes(b"half")
    said = r": 1 of 5 files differ, e\.g\. model\.safetensors is changed; the copy is incomplete or a file was changed"
    with pytest.raises(ModelFolderError, match=said):
        check_trained_model(folder)


@pytest.mark.parametrize(
    ("name", "contents", "said"),
    [
        ("adapter/adapter_config.json", '{"lora_alpha": 3200}', r"adapter/adapter_config\.json is changed"),
        ("merges.txt", "a b", r"merges\.txt is new"),
        ("generation_config.json", None, r"generation_config\.json is missing"),
    ],
)
def test_no_file_that_shapes_answers_may_differ(folder: Path, name: str, contents: str | None, said: str) -> None:
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_config.json").write_text('{"lora_alpha": 32}')
    (folder / "generation_config.json").write_text("{}")
    described(folder).write(folder)
    check_trained_model(folder)
    if contents is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(contents)
    with pytest.raises(ModelFolderError, match=said):
        check_trained_model(folder)


def test_a_model_of_release_0_2_0_is_checked_by_the_digest_of_that_release(folder: Path) -> None:
    (folder / "merges.txt").write_text("a b")
    digest = first_digest(file_digests(folder))
    values = asdict(replace(MANIFEST, digest=digest))
    del values["files"]
    (folder / "manifest.json").write_text(json.dumps(values))
    assert check_trained_model(folder).files == {}
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(
        ModelFolderError, match=f"its manifest says {digest}; the copy is incomplete or a file was changed"
    ):
        check_trained_model(folder)


def test_nonfinite_weights_are_refused_even_with_a_matching_manifest(folder: Path) -> None:
    write_weights(folder / "model.safetensors", a=("BF16", [0x3F80, 0x7F80]), b=("BF16", [0x7FC0]))
    described(folder).write(folder)
    said = "2 of 3 weights are NaN or infinite, in 2 of 2 tensors, e.g. 1 of the 2 in a; the training diverged"
    with pytest.raises(ModelFolderError, match=said):
        check_trained_model(folder)
