"""Each pair that the paper's rule allows in OpenAssistant's trees is selected once."""

from pathlib import Path

import pytest

from jobs import ingest_conversations, select_seed
from jobs.current.seed import seed_pairs
from jobs.recipe.config import IngestConversations, Recipe, SelectSeed
from schemas.bronze import CONVERSATIONS
from schemas.ops import RUNS
from schemas.silver import SEED_PAIRS
from tests.planted import plant

pytestmark = pytest.mark.spark


def test_100_openassistant_trees_hold_94_pairs(run_job, shared_data: Path) -> None:
    paths = (str(shared_data / "seed" / "oasst_en_100_trees.jsonl"),)
    recipe = Recipe(
        name="test",
        base_model="none",
        ingest_conversations=IngestConversations(paths=paths, licence="Apache-2.0"),
        select_seed=SelectSeed(dev_share=0.5),
    )
    lake = run_job(ingest_conversations, recipe)
    assert (lake.run.n_in, lake.run.n_out) == (1167, 1167)
    assert lake.read(CONVERSATIONS).count() == 1167

    lake = run_job(select_seed, recipe)
    run = lake.run
    assert (run.n_in, run.n_out) == (687, 94)
    assert run.n_in == run.n_out + sum(run.dropped.values())
    assert set(run.dropped) == {"later_turn", "synthetic", "not_best_rank"}
    rows = lake.read(SEED_PAIRS).collect()
    assert len(rows) == 94
    assert {r.split for r in rows} == {"train", "dev"}
    assert {(r.language, r.source, r.licence) for r in rows} == {("en", "oasst_en_100_trees.jsonl", "Apache-2.0")}

    again = run_job(select_seed, recipe)
    assert (again.run.n_out, again.run.version) == (0, None)
    assert again.run.n_in == 687 - 94  # the first run's row is not there yet

    plant(again.root, RUNS, [again.run.row("ok")])
    third = run_job(select_seed, recipe)
    assert (third.run.n_in, third.run.version) == (0, None)
    assert lake.version(SEED_PAIRS) == run.version


def test_a_limit_is_filled_up_later(run_job, tmp_path: Path) -> None:
    lines = [f'{{"instruction": "Question {n}?", "response": "Answer {n}."}}' for n in range(6)]
    (tmp_path / "seed.jsonl").write_text("\n".join(lines))
    recipe = Recipe(
        name="test",
        base_model="none",
        ingest_conversations=IngestConversations(paths=(str(tmp_path / "seed.jsonl"),)),
    )
    run_job(ingest_conversations, recipe)
    for limit, added in ((2, 2), (2, 0), (None, 4)):
        lake = run_job(select_seed, recipe, limit=limit)
        plant(lake.root, RUNS, [lake.run.row("ok")])
        assert lake.run.n_out == added


def test_each_experiment_has_a_seed_of_its_own(run_job, open_lake, tmp_path: Path) -> None:
    lines = [f'{{"instruction": "Question {n}?", "response": "Answer {n}."}}' for n in range(6)]
    (tmp_path / "seed.jsonl").write_text("\n".join(lines))
    given = IngestConversations(paths=(str(tmp_path / "seed.jsonl"),))
    sizes = {"large": 6, "small": 2}
    recipes = {
        name: Recipe(name=name, base_model="none", ingest_conversations=given, select_seed=SelectSeed(size=size))
        for name, size in sizes.items()
    }
    run_job(ingest_conversations, recipes["large"])
    for recipe in recipes.values():
        run_job(select_seed, recipe)
    assert {name: seed_pairs(open_lake(), name).count() for name in recipes} == sizes


def test_a_pair_without_an_instruction_is_quarantined(run_job, tmp_path: Path) -> None:
    (tmp_path / "seed.jsonl").write_text('{"instruction": " ", "response": "x"}\n{"instruction": "i", "response": ""}')
    recipe = Recipe(
        name="test",
        base_model="none",
        ingest_conversations=IngestConversations(paths=(str(tmp_path / "seed.jsonl"),)),
    )
    run_job(ingest_conversations, recipe)
    lake = run_job(select_seed, recipe)
    assert lake.run.quarantined == {"instruction_not_empty": 1, "response_not_empty": 1}
