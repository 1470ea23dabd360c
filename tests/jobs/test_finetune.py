"""External training: the job stops with the exact command, and a model is registered if its training matches."""

import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import build_training_examples, finetune, register_model
from jobs.current.models import required_model, trained_model
from jobs.current.registration import _short_digest
from jobs.errors import JobError, WaitingError
from jobs.recipe.config import Recipe
from model_ops.serving.model import Model
from model_ops.training.checkpoints import ModelFolderError, read_manifest
from schemas.ops import MODELS, RELEASES
from schemas.silver import SEED_PAIRS
from tests.conftest import OpenLake, RunJob
from tests.planted import plant, plant_model
from tests.tiny_model import save_model

pytestmark = pytest.mark.spark


def recipe(folder: Path, **finetune: object) -> Recipe:
    section = {"launcher": "external", "method": "lora", "epochs": 1.0, "max_length": 256, "dev_examples": 1}
    return Recipe.model_validate(
        {"name": "test", "base_model": str(folder / "base"), "finetune": section | {"lora_rank": 4} | finetune}
    )


def test_a_model_trained_elsewhere_is_registered(tmp_path: Path, open_lake: OpenLake, run_job: RunJob) -> None:
    save_model(tmp_path / "base")
    lake = open_lake()
    pairs = [
        ("test", f"p{n}", f"Which question {n}?", "This one.", "en", "s", None, "dev" if n == 8 else "train")
        for n in range(9)
    ]
    lake.write(SEED_PAIRS, lake.spark.createDataFrame(pairs, SEED_PAIRS.schema))
    run_job(build_training_examples, recipe(tmp_path), direction="backward", iteration=0)

    with pytest.raises(WaitingError, match="backward-0 waits for its training") as waiting:
        run_job(finetune, recipe(tmp_path), direction="backward", iteration=0)
    assert waiting.value.exit_code == 4
    words = shlex.split(str(waiting.value).partition("run: ")[2].partition(" ; then")[0])
    assert words[0] == "python"
    subprocess.run([sys.executable, *words[1:]], check=True, cwd=Path(__file__).parent.parent.parent)
    trained = tmp_path / "brought"
    shutil.move(words[words.index("--out") + 1], trained)

    with pytest.raises(JobError, match=r"does not match the recipe and the current release: config_digest .* again"):
        run_job(register_model, recipe(tmp_path, lora_rank=2), argument=str(trained))
    lake = run_job(register_model, recipe(tmp_path), argument=str(trained))
    (model,) = lake.read(MODELS).collect()
    assert (model.direction, model.iteration, model.path, model.n_examples) == ("backward", 0, str(trained), 8)
    assert required_model(open_lake(), recipe(tmp_path), "backward", 0).model_id == model.model_id
    run_job(finetune, recipe(tmp_path), direction="backward", iteration=0)  # it has nothing to wait for

    assert lake.run.inputs["gold.training_examples"] == model.table_version
    assert lake.run.methods == {"backward-0": model.model_id}

    moved = tmp_path / "lake" / "models" / trained.parent.name / trained.name
    shutil.copytree(trained, moved)
    assert required_model(open_lake(), recipe(tmp_path), "backward", 0).path == str(trained)
    shutil.move(trained, tmp_path / "gone")
    assert required_model(open_lake(), recipe(tmp_path), "backward", 0).path == str(moved), "a lake may be moved"
    shutil.move(tmp_path / "gone", trained)

    manifest = read_manifest(trained)
    assert model.model_id == f"backward-0-{_short_digest(manifest)}"
    other = replace(manifest, dataset="other/backward-0")
    assert _short_digest(other) != _short_digest(manifest), "equal weights, different models"

    with (trained / "model.safetensors").open("ab") as weights:
        weights.write(b"\0")
    with pytest.raises(ModelFolderError, match="the copy is incomplete or a file was changed"):
        run_job(register_model, recipe(tmp_path), argument=str(trained))


def test_a_model_counts_only_for_its_release_and_settings(tiny_base: Path, open_lake: OpenLake) -> None:
    def found(plan: Recipe) -> Model | None:
        return trained_model(open_lake(), plan, "forward", 0)

    plan = Recipe.model_validate({"name": "test", "base_model": str(tiny_base)})
    model = plant_model(open_lake().root, plan, "forward", 0)
    assert found(plan) == model
    assert found(plan.model_copy(update={"finetune": plan.finetune.model_copy(update={"epochs": 9.0})})) is None
    (release,) = open_lake().read(RELEASES).collect()
    later = {"release_id": "later", "version": release.version + 1, "content_digest": "of other rows"}
    plant(open_lake().root, RELEASES, [release.asDict() | later])
    assert found(plan) is None
