import json
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.finetune import by_hand
from jobs.recipe.config import Finetune, Recipe
from model_ops.training.settings import ADDED, SPEED_ONLY, TrainingError, TrainingSettings, parse_settings

GIVEN = Finetune(method="lora", batch_size=32, small_batch_size=8, micro_batch_size=4).settings("forward", 1)


def recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate({"name": "x", "base_model": "m"} | changes)


def test_the_recipe_gives_exactly_these_settings() -> None:
    assert parse_settings(json.dumps(GIVEN)).model_dump(mode="json") == GIVEN


def test_training_settings_keep_their_digest() -> None:
    """A model is trained anew where its settings differ: their names, types and defaults are part of a lake."""
    paper = {
        "method": "full", "learning_rate": 1e-05, "final_learning_rate": 9e-06, "weight_decay": 0.1, "dropout": 0.1,
        "batch_size": 32, "small_batch_size": 8, "epochs": 3.0, "max_length": 2048, "dev_examples": 256,
        "lora_rank": 16, "lora_alpha": 32, "lora_layers_from": 0, "dtype": "auto", "seed": 0,
    }  # fmt: skip
    assert TrainingSettings(**Finetune().settings("forward", 1)).result_settings() == paper
    one_pass = Finetune(method="lora", launcher="external", epochs_of={"forward-1": 1}).settings("forward", 1)
    assert TrainingSettings(**one_pass).result_settings() == paper | {"method": "lora", "epochs": 1.0}


def test_every_setting_counts_or_changes_the_speed_only() -> None:
    assert (
        TrainingSettings().result_settings().keys() | SPEED_ONLY | ADDED.keys() == TrainingSettings.model_fields.keys()
    )


@pytest.mark.parametrize("name", ADDED)
def test_a_later_setting_counts_with_another_value_than_its_default(name: str) -> None:
    """The models that a lake has stay as they are, and another value trains another model."""
    usual = TrainingSettings(method="lora")
    assert ADDED[name] == TrainingSettings.model_fields[name].default
    assert name not in usual.result_settings()
    other = {"optimizer": "adamw_8bit", "quantization": "nf4"}[name]
    changed = TrainingSettings.model_validate(usual.model_dump() | {name: other})
    assert changed.result_settings() == usual.result_settings() | {name: other}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "full", "quantization": "nf4"}, 'nf4 is for adapters: set method to "lora"'),
        ({"quantization": "nf4", "sharding": "full"}, "nf4 weights cannot be shared by processes"),
        ({"optimizer": "adamw_8bit", "sharding": "full"}, "adamw_8bit cannot update weights that processes share"),
    ],
)
def test_the_recipe_rejects_settings_that_exclude_each_other(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Finetune.model_validate({"method": "lora"} | changes)
    with pytest.raises(TrainingError, match=message):
        parse_settings(json.dumps(GIVEN | changes))


def test_weights_are_shared_by_processes_that_a_person_starts() -> None:
    with pytest.raises(ValidationError, match='launcher = "local" starts one: set launcher to "external"'):
        Finetune(sharding="full")
    shared = recipe(finetune={"sharding": "full", "launcher": "external"})
    assert by_hand(["/bin/python", "-m", "model_ops.train"], recipe()) == "python -m model_ops.train"
    assert by_hand(["/bin/python", "-m", "model_ops.train"], shared) == (
        "accelerate launch --num_processes N -m model_ops.train"
    )


@pytest.mark.parametrize(("flag", "mode"), [(True, "full"), (False, "none"), ("selective", "selective")])
def test_flags_of_earlier_releases_are_modes(flag: object, mode: str) -> None:
    assert TrainingSettings.model_validate({"gradient_checkpointing": flag}).gradient_checkpointing == mode


def test_the_recipe_rejects_what_the_trainer_would_refuse() -> None:
    with pytest.raises(ValidationError, match="9e-06 is above learning_rate 1e-06"):
        Finetune(learning_rate=1e-6)


def test_every_fault_is_named() -> None:
    values = {k: v for k, v in GIVEN.items() if k not in ("seed", "final_learning_rate")}
    values |= {"batchsize": 1, "epochs": 0, "learning_rate": 1e-6}
    with pytest.raises(TrainingError) as caught:
        parse_settings(json.dumps(values))
    assert str(caught.value) == (
        "--settings: final_learning_rate is missing; seed is missing; epochs: Input should be greater than 0; "
        "batchsize: Extra inputs are not permitted"
    )


@pytest.mark.parametrize("name", TrainingSettings.model_fields)
def test_missing_settings_have_no_default(name: str) -> None:
    with pytest.raises(TrainingError, match=f"--settings: {name} is missing$"):
        parse_settings(json.dumps({k: v for k, v in GIVEN.items() if k != name}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "qlora"}, "method: Input should be 'lora' or 'full'"),
        ({"dtype": "int8"}, "dtype: Input should be 'auto', 'bfloat16' or 'float32'"),
        ({"learning_rate": 1e-6}, "final_learning_rate: Value error, 9e-06 is above learning_rate 1e-06"),
        ({"batch_size": 0, "lora_rank": 513}, "batch_size: .* than or equal to 1; lora_rank: .* than or equal to 512"),
    ],
)
def test_values_out_of_range(change: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        parse_settings(json.dumps(GIVEN | change))


@pytest.mark.parametrize(("text", "message"), [("{", "not valid JSON"), ("[]", "not a JSON object")])
def test_settings_that_are_not_an_object(text: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        parse_settings(text)


@pytest.mark.parametrize(
    ("n_examples", "n_processes", "micro_batch_size", "shape"),
    [
        (3000, 1, 4, (4, 8)),
        (2999, 1, 4, (4, 2)),
        (3000, 8, 4, (4, 1)),
        (3000, 1, 5, (4, 8)),
        (3000, 16, 4, (2, 1)),
        (10, 1, 100, (8, 1)),
    ],
)
def test_the_batch_is_divided(n_examples: int, n_processes: int, micro_batch_size: int, shape: tuple[int, int]) -> None:
    settings = parse_settings(json.dumps(GIVEN | {"micro_batch_size": micro_batch_size}))
    assert settings.batch_shape(n_examples, n_processes) == shape


@pytest.mark.parametrize("n_processes", [3, 64])
def test_a_batch_that_cannot_be_divided(n_processes: int) -> None:
    with pytest.raises(TrainingError, match=f"a batch of 32 examples cannot be divided over {n_processes} processes"):
        parse_settings(json.dumps(GIVEN)).batch_shape(3000, n_processes)
