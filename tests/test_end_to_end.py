"""The whole loop on a small corpus, twice, with real Spark, Delta, vLLM, torch and Great Expectations.

The model is the demo's, of 135M parameters; pages and seed are generated. The second run must
write nothing but its rows in `ops.runs`, and call no model.
"""

import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable

from jobs.lake.audit import faults
from jobs.loop.steps import JOBS
from jobs.recipe.step import job_name
from schemas import TABLES
from schemas.ops import PROMPTS
from tests.conftest import Command
from tests.documented import query_with
from tests.jvm import QUICK
from tests.pages import write_warc

pytestmark = [pytest.mark.spark, pytest.mark.model, pytest.mark.timeout(2700)]  # hosts differ threefold in speed

ROOT = Path(__file__).parent.parent
PORT = 8791
TRACE = query_with("gold.training_examples e")


def process(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a separate process, as a user does, without a C++ compiler, which a machine need not have."""
    return subprocess.run(
        [sys.executable, "-m", "jobs", *map(str, words)], cwd=ROOT,
        env=os.environ | {"CXX": "/nonexistent", "JDK_JAVA_OPTIONS": QUICK}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with crawl, seed and recipe, and the options that every command needs."""
    folder = tmp_path_factory.mktemp("loop")
    write_warc(folder / "crawl.warc.gz", n_pages=20)
    rng = random.Random(0)
    with (folder / "seed.jsonl").open("w") as seed:
        for i in range(24):
            a, b = rng.sample(["copies", "moves", "lists", "checks", "prints", "sorts", "packs", "sends"], 2)
            seed.write(json.dumps({
                "instruction": f"What does tool {i} do when it {a} files?",
                "response": f"Tool {i} {a} the files that you name, and then {b} what it found, one line for each.",
                "language": "en", "licence": "CC0-1.0",
            }) + "\n")  # fmt: skip
    (folder / "recipe.toml").write_text(RECIPE.format(base=smollm2, folder=folder, port=PORT))
    return folder, ["--recipe", str(folder / "recipe.toml"), "--lake", str(folder / "lake")]


RECIPE = """
name = "small"
base_model = "{base}"
iterations = 2
[ingest_documents]
paths = ["{folder}/*.warc.gz"]
[ingest_conversations]
paths = ["{folder}/seed.jsonl"]
[select_seed]
dev_share = 0.3
[extract_segments]
max_chars = 1500
[select_unlabelled]
size = 30
[finetune]
method = "lora"
learning_rate = 1e-3
dropout = 0.0
micro_batch_size = 2
gradient_checkpointing = "none"
epochs = 1.0
lora_layers_from = 20
epochs_of = {{ backward-0 = 3.0 }}
[serving]
mode = "merged"
eager = true
port = {port}
[inference]
rows_per_wave = 20
[generate_candidates]
n_segments = 8
max_tokens = 64
[score_candidates]
scorers = ["likelihood_gain", "expected", "rubric"]
limits = {{ rubric = 2 }}
rationale_chars = 40
[judge_check]
pairs = 4
kinds = ["mismatched", "cut"]
scorers = ["likelihood_gain", "expected"]
iterations = [0]
[curate]
scorers = ["likelihood_gain"]
top_fraction = 0.5
gates = {{ expected = 1.0 }}
[[evaluation]]
iterations = [0]
max_tokens = 8
"""


def versions(lake: Path) -> dict[str, int]:
    return {t.name: DeltaTable(str(lake / t.path)).version() for t in TABLES if (lake / t.path / "_delta_log").is_dir()}


def test_the_loop_runs_balances_its_counts_and_then_finds_nothing_to_do(
    made: tuple[Path, list[str]], humpback: Command
) -> None:
    folder, options = made
    lake = folder / "lake"
    planned = humpback("run", *options, "--dry-run")
    assert planned.code == 0, planned.err
    assert not lake.exists(), "a dry run writes nothing"

    first = process("run", *options, "--json", "--report", folder / "report.html")
    assert first.returncode == 0, first.stderr[-3000:]
    still_there = subprocess.run(["pgrep", "-f", f"port {PORT}"], capture_output=True, check=False)
    assert still_there.returncode == 1, "no server is left running"
    assert faults(str(lake)) == []
    models = DeltaTable(str(lake / "ops/models")).to_pyarrow_table().to_pylist()
    assert {(m["direction"], m["iteration"]) for m in models} == {
        ("backward", 0),
        ("forward", 0),
        ("forward", 1),
        ("forward", 2),
    }
    curated = DeltaTable(str(lake / "gold/curated")).to_pyarrow_table().to_pylist()
    assert {c["iteration"] for c in curated} == {1, 2}

    before = versions(lake)
    written = (folder / "report.html").stat().st_mtime_ns
    again = ("--set", "inference.in_flight=32")  # changes no result; without a change the whole loop is skipped
    with socket.create_server(("127.0.0.1", PORT)):  # a server that the run started would find its port taken
        second = humpback("run", *options, *again, "--json", "--report", folder / "report.html")
    assert second.code == 0, second.err
    runs = [json.loads(line) for line in second.out.splitlines()]
    assert len(runs) > 20, "every step was looked at"
    assert sum(r["n_calls"] for r in runs) == 0
    assert (folder / "report.html").stat().st_mtime_ns == written, "nothing is new, so the report is the same"
    after = versions(lake)
    assert [t for t, v in after.items() if v != before[t]] == ["ops.recipes", "ops.runs"], "it is another recipe"

    inputs = DeltaTable(str(lake / "ops/runs")).to_pyarrow_table(columns=["job", "inputs"]).to_pylist()
    empty = {t.name for t in TABLES if not DeltaTable(str(lake / t.path)).to_pyarrow_dataset().count_rows()}
    for job in JOBS:
        read = {name for run in inputs if run["job"] == job_name(job) for name, _ in run["inputs"]}
        declared = {table.name for table in job.READS}
        assert read <= declared | {job.WRITES.name}, job
        # The first job that asks a model finds no prompts yet, and a table without rows may not have existed.
        assert not read or declared <= read | empty | {PROMPTS.name}, job

    assert (folder / "report.html").stat().st_size > 10_000
    answer = humpback("sql", TRACE, *options[2:], "--json")
    assert answer.code == 0, answer.err
    traced = [json.loads(line) for line in answer.out.splitlines()]
    assert {row["trained_model"] for row in traced} == {m["model_id"] for m in models if m["iteration"] in (1, 2)}
    assert all(row["url"].startswith("https://example.org/") and row["template"] == "backward" for row in traced)

    # A model without answers needs a server. A fault of the server is reported, and nothing is written.
    both = "evaluation=[{iterations = [0, 1], max_tokens = 8}]"
    asking = ("generate-answers", "--iteration", 1, *options, "--set", both, "--set")
    silent = humpback(*asking, 'serving.endpoints=["http://127.0.0.1:9/v1"]', "--set", "inference.patience=0")
    assert silent.code == 1
    assert "http://127.0.0.1:9/v1 does not answer" in silent.err.splitlines()[-1]
    with socket.create_server(("127.0.0.1", PORT)):
        taken = humpback(*asking, "inference.partitions=1")
    assert taken.code == 1
    assert f"port {PORT} on 127.0.0.1 is taken" in taken.err.splitlines()[-1]
    assert [t for t, v in versions(lake).items() if v != after[t]] == ["ops.recipes", "ops.runs"]

    before = versions(lake)
    third = humpback("run", *options, "--json")
    assert third.code == 0, third.err
    (only,) = (json.loads(line) for line in third.out.splitlines())
    assert (only["job"], only["status"], only["n_calls"], only["n_out"]) == ("run", "ok", 0, 0)
    assert versions(lake) == before | {"ops.runs": before["ops.runs"] + 1}
