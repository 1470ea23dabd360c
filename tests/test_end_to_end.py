"""The whole loop on real parts, at a small size, twice: Spark, Delta, vLLM, torch, Great Expectations.

The model is the 135M one that a package carries; pages and seed are made here. The second run must
write nothing but its rows in `ops.runs`, and call no model.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from schemas import TABLES
from tests.audit import faults
from tests.pages import write_warc

pytestmark = [pytest.mark.spark, pytest.mark.model, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parent.parent


def humpback(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jobs", *words], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with crawl, seed, base model and recipe; and the options that every command needs."""
    folder = tmp_path_factory.mktemp("loop")
    base = folder / "base"
    subprocess.run([sys.executable, "-m", "model_ops.base_model", "--out", str(base)], cwd=ROOT, check=True)
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
    (folder / "recipe.toml").write_text(RECIPE.format(folder=folder))
    return folder, ["--recipe", str(folder / "recipe.toml"), "--lake", str(folder / "lake")]


RECIPE = """
name = "small"
base_model = "{folder}/base"
iterations = 2
[ingest_documents]
paths = ["{folder}/*.warc.gz"]
[ingest_conversations]
paths = ["{folder}/seed.jsonl"]
[select_seed]
dev_share = 0.3
[select_unlabelled]
size = 30
[finetune]
method = "lora"
learning_rate = 1e-3
dropout = 0.0
micro_batch_size = 2
epochs = 1.0
epochs_of = {{ backward-0 = 5.0 }}
[serving]
mode = "merged"
eager = true
port = 8791
[inference]
rows_per_wave = 8
[generate_candidates]
n_segments = 8
max_tokens = 64
[score_candidates]
scorers = ["likelihood_gain", "expected", "rubric"]
limits = {{ rubric = 2 }}
rationale_chars = 40
dev_pairs = 4
[curate]
scorers = ["likelihood_gain"]
top_fraction = 0.5
gates = {{ expected = 1.0 }}
[generate_answers]
iterations = [0]
max_tokens = 8
"""


def versions(lake: Path) -> dict[str, int]:
    return {t.name: DeltaTable(str(lake / t.path)).version() for t in TABLES if (lake / t.path / "_delta_log").is_dir()}


def test_the_loop_runs_closes_its_accounts_and_is_done(made: tuple[Path, list[str]], spark: SparkSession) -> None:
    folder, options = made
    planned = humpback("run", *options, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert not (folder / "lake").exists(), "a dry run writes nothing"

    first = humpback("run", *options, "--json")
    assert first.returncode == 0, first.stderr[-3000:]
    assert faults(spark, str(folder / "lake")) == []
    models = DeltaTable(str(folder / "lake/ops/models")).to_pyarrow_table().to_pylist()
    assert {(m["direction"], m["iteration"]) for m in models} == {
        ("backward", 0),
        ("forward", 0),
        ("forward", 1),
        ("forward", 2),
    }
    curated = DeltaTable(str(folder / "lake/gold/curated")).to_pyarrow_table().to_pylist()
    assert {c["iteration"] for c in curated} == {1, 2}

    before = versions(folder / "lake")
    second = humpback("run", *options, "--json")
    assert second.returncode == 0, second.stderr[-3000:]
    runs = [json.loads(line) for line in second.stdout.splitlines()]
    assert sum(r["n_calls"] for r in runs) == 0
    after = versions(folder / "lake")
    assert [t for t, v in after.items() if v != before[t]] == ["ops.runs"]
    for word in ("starting", "wave="):
        assert word not in second.stderr, "the second run starts no server and sends no request"
    still_there = subprocess.run(["pgrep", "-f", "port 8791"], capture_output=True, check=False)
    assert still_there.returncode == 1, "no server is left running"

    report = humpback("report", *options[2:])
    assert report.returncode == 0, report.stderr
    assert (folder / "lake/reports/report.html").stat().st_size > 10_000
    answer = humpback("sql", TRACE, *options[2:], "--json")
    assert answer.returncode == 0, answer.stderr
    traced = [json.loads(line) for line in answer.stdout.splitlines()]
    assert traced
    assert all(row["url"].startswith("https://example.org/") and row["template"] == "backward" for row in traced)


TRACE = """
SELECT e.dataset, e.example_id, d.url, d.source_file, d.record_offset, s.header, c.model_id, p.name AS template,
       m.table_version
FROM gold.training_examples e
JOIN silver.candidates c ON c.candidate_id = e.source_id
JOIN silver.segments s USING (segment_id)
JOIN bronze.documents d USING (document_id)
JOIN (SELECT DISTINCT request_id, prompt_id FROM bronze.completions WHERE status = 'ok') q ON q.request_id = c.request_id
JOIN ops.prompts p USING (prompt_id)
JOIN ops.models m ON m.dataset = e.dataset
WHERE e.origin = 'augmented'
"""
