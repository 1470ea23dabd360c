"""The project's own small set of evaluation prompts."""

import json
from importlib.resources import files


def test_twenty_prompts_with_distinct_ids() -> None:
    text = files("jobs").joinpath("data/evaluation_prompts.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert all(set(row) == {"id", "prompt"} for row in rows)
    assert len({row["id"] for row in rows}) == len({row["prompt"] for row in rows}) == 20
