"""Seed files are loaded into bronze.conversations, and their broken lines into ops.quarantine."""

import json
from pathlib import Path

import pytest

from jobs import ingest_conversations
from jobs.errors import RecipeError
from jobs.recipe.config import IngestConversations, Recipe
from schemas.bronze import CONVERSATIONS
from schemas.ops import QUARANTINE

pytestmark = pytest.mark.spark


def recipe(*paths: Path | str) -> Recipe:
    section = IngestConversations(paths=tuple(map(str, paths)), licence="CC0-1.0")
    return Recipe(name="test", base_model="none", ingest_conversations=section)


def pair(question: str) -> str:
    return json.dumps({"instruction": question, "response": f"The answer to {question}"})


def test_line_17_is_broken(run_job, tmp_path: Path) -> None:
    lines = [pair(f"Question {n}?") for n in range(1, 21)]
    lines[16] = lines[16][:-5]
    lines[18] = '{"question": "?"}'
    seed = tmp_path / "seed.jsonl"
    seed.write_text("\n".join(lines), encoding="utf-8")

    lake = run_job(ingest_conversations, recipe(seed))

    assert lake.read(CONVERSATIONS).count() == 36
    assert (lake.run.n_in, lake.run.n_out) == (38, 36)
    assert lake.run.quarantined == {"broken_json": 1, "unknown_shape": 1}
    bad = lake.read(QUARANTINE).orderBy("record_offset").collect()
    assert [(r.rule, r.source_file, r.record_offset) for r in bad] == [
        ("broken_json", str(seed), 17),
        ("unknown_shape", str(seed), 19),
    ]
    assert bad[0].payload.startswith('{"instruction": "Question 17?"')

    again = run_job(ingest_conversations, recipe(seed))
    assert (again.run.n_in, again.run.version) == (0, None)

    lines[16] = pair("Question 17?")
    seed.write_text("\n".join(lines), encoding="utf-8")
    mended = run_job(ingest_conversations, recipe(seed))
    assert (mended.run.n_in, mended.run.n_out) == (2, 2)


def test_repeated_deleted_and_faulty_messages(run_job, tmp_path: Path) -> None:
    reply = {"message_id": "a", "role": "assistant", "text": "Yes.", "replies": []}
    faulty = [reply | {"message_id": "b", "deleted": True}, reply | {"message_id": "c", "role": "system"}]
    tree = {"message_id": "p", "role": "prompter", "text": "Well?", "lang": "en", "replies": [reply, *faulty]}
    (tmp_path / "one.jsonl").write_text(json.dumps({"prompt": tree}))
    (tmp_path / "two.jsonl").write_text(json.dumps({"prompt": tree}))

    lake = run_job(ingest_conversations, recipe(tmp_path / "*.jsonl"))

    rows = lake.read(CONVERSATIONS).orderBy("message_id").collect()
    assert [(r.message_id, r.parent_id, r.source, r.licence) for r in rows] == [
        ("a", "p", "one.jsonl", "CC0-1.0"),
        ("p", None, "one.jsonl", "CC0-1.0"),
    ]
    assert lake.run.dropped == {"repeated": 3, "deleted": 2}
    assert lake.run.quarantined == {"role_known": 1}
    assert (lake.run.n_in, lake.run.n_out) == (8, 2)


def test_files_of_any_name_are_read(run_job, tmp_path: Path) -> None:
    names = [
        "a[1].jsonl",
        "a{b}.jsonl",
        "a b.jsonl",
        "a%20b.jsonl",
        "a#b.jsonl",
        "a?*.jsonl",
        "a`b.jsonl",
        "_ü:b\\.jsonl",
    ]
    for name in names:
        (tmp_path / name).write_text(pair(f"What is in {name}?"))
    lake = run_job(ingest_conversations, recipe(*(tmp_path / name for name in names)))
    assert sorted({row.source for row in lake.read(CONVERSATIONS).collect()}) == sorted(names)


def test_paths_that_match_nothing_are_all_named(run_job, tmp_path: Path) -> None:
    (tmp_path / "seed.jsonl").write_text(pair("Well?"))
    with pytest.raises(RecipeError, match=r"2 of 3 match no file: nowhere\.jsonl, none/\*\.gz"):
        run_job(ingest_conversations, recipe(tmp_path / "seed.jsonl", "nowhere.jsonl", "none/*.gz"))


def test_no_paths(run_job) -> None:
    with pytest.raises(RecipeError, match=r"ingest_conversations\.paths is empty"):
        run_job(ingest_conversations, recipe())
