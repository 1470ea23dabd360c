import json
from dataclasses import asdict

import pytest

from jobs.recipe.config import Finetune
from model_ops.training.settings import Settings, TrainingError

GIVEN = Finetune(method="lora", batch_size=32, small_batch_size=8, micro_batch_size=4).settings("forward", 1)


def test_the_recipe_gives_exactly_these_settings() -> None:
    assert asdict(Settings.from_json(json.dumps(GIVEN))) == GIVEN


def test_every_fault_is_named() -> None:
    values = {k: v for k, v in GIVEN.items() if k != "seed"} | {"batchsize": 1}
    with pytest.raises(TrainingError, match="--settings: seed is missing; batchsize is unknown"):
        Settings.from_json(json.dumps(values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "qlora"}, "method is 'qlora', not lora or full"),
        ({"dtype": "int8"}, "dtype is 'int8', not auto, bfloat16 or float32"),
        ({"learning_rate": 1e-6}, "final_learning_rate 9e-06 is above learning_rate 1e-06"),
    ],
)
def test_values_out_of_range(change: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        Settings.from_json(json.dumps(GIVEN | change))


@pytest.mark.parametrize(("text", "message"), [("{", "not valid JSON"), ("[]", "not a JSON object")])
def test_what_is_no_object(text: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        Settings.from_json(text)


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
    settings = Settings.from_json(json.dumps(GIVEN | {"micro_batch_size": micro_batch_size}))
    assert settings.batch_shape(n_examples, n_processes) == shape


@pytest.mark.parametrize("n_processes", [3, 64])
def test_a_batch_that_cannot_be_divided(n_processes: int) -> None:
    with pytest.raises(TrainingError, match=f"a batch of 32 examples cannot be divided over {n_processes} processes"):
        Settings.from_json(json.dumps(GIVEN)).batch_shape(3000, n_processes)
