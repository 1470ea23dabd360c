"""Runs of requests that are killed at random points: rows lost or doubled, and requests sent more than once.

python -m benchmarks.kills --rows 3000 --kills 20
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks import results
from jobs.inference.ask import complete
from jobs.inference.serving import servers_of
from jobs.lake.runs import Run
from jobs.lake.session import spark_session
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from model_ops.serving.model import Model
from schemas.bronze import COMPLETIONS
from schemas.silver import CANDIDATES
from tests.jvm import QUICK
from tests.model_ops.fake_server import Reply, completion, serving
from tests.tiny_model import save_tokenizer
from transforms.prompting.requests import requests_from

ROOT = Path(__file__).parent.parent
MODEL = "m-1"


def ask(spark: SparkSession, root: Path, endpoint: str, folder: Path, n_rows: int, rows_per_wave: int) -> None:
    """Request `n_rows` completions in this process, and write them to the ledger."""
    recipe = Recipe.model_validate(
        {
            "name": "kills",
            "base_model": str(folder),
            "serving": {"endpoints": [endpoint]},
            "inference": {"rows_per_wave": rows_per_wave, "in_flight": 16},
        }
    )
    lake = RunLake(spark, str(root), Run("kills", "kills", recipe.digest(), CANDIDATES))
    subject, text, nothing = F.col("id").cast("string"), F.concat(F.lit("Row "), "id"), F.lit("")
    prompts = spark.range(n_rows).select(
        subject.alias("subject_id"),
        nothing.alias("system"),
        text.alias("prompt"),
        nothing.alias("prefill"),
        F.lit(None).cast("string").alias("span"),
    )
    requests = requests_from(
        prompts,
        stage="candidates",
        model_id=MODEL,
        model_digest="d",
        prompt_id="p",
        sampling={"temperature": 0.7, "max_tokens": 9},
    )
    complete(lake, servers_of(recipe, spark, root / "logs"), Model(MODEL, str(folder), "d", "base"), requests)


def ask_in_own_session(root: str, endpoint: str, folder: str, n_rows: str, rows_per_wave: str) -> None:
    """Request the completions in a new Spark session; the entry of a process that is to be killed."""
    spark = spark_session(**{"spark.driver.extraJavaOptions": QUICK})
    ask(spark, Path(root), endpoint, Path(folder), int(n_rows), int(rows_per_wave))
    spark.stop()


@dataclass
class Server:
    """A deterministic model behind HTTP that counts requests and kills process `victim` at request `kill_at`."""

    asked: int = 0
    kill_at: int | None = None
    victim: int = 0

    def script(self, path: str, body: dict[str, Any] | None, number: int) -> Reply:
        """Answer as vLLM does; requests of the handshake are not counted."""
        if body is None:
            return (200, {}, {"data": [{"id": MODEL, "max_model_len": 512}]}) if "models" in path else (404, {}, {})
        if "top_p" not in body:
            labels = {f"token_id:{i}": -1.0 for i in body.get("logprob_token_ids", [])}
            text = "zq" if "structured_outputs" in body else "Yes"
            spans = [None, *({str(i): {"logprob": -1.0}} for i in body["prompt"][1:])]
            return completion(text, logprobs={"top_logprobs": [labels]}, prompt_logprobs=spans)
        with _LOCK:
            self.asked += 1
            if self.asked == self.kill_at:
                os.kill(self.victim, signal.SIGKILL)
        time.sleep(0.01)
        return completion(answer(body["prompt"]))


_LOCK = threading.Lock()


def answer(prompt: list[int]) -> str:
    """Return the model's answer to a prompt: a hash of its token ids."""
    return hashlib.sha256(str(prompt).encode()).hexdigest()


def run(
    root: Path, folder: Path, endpoint: str, n_rows: int, rows_per_wave: int, server: Server, kill_after: int | None
) -> bool:
    """Run `ask` in a new process, killed after `kill_after` requests, and return whether it ended with success."""
    code = "import sys; from benchmarks.kills import ask_in_own_session; ask_in_own_session(*sys.argv[1:])"
    words = [sys.executable, "-c", code, str(root), endpoint, str(folder), str(n_rows), str(rows_per_wave)]
    process = subprocess.Popen(words, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    server.victim = process.pid
    server.kill_at = None if kill_after is None else server.asked + kill_after
    ended = process.wait() == 0
    before = -1
    while before < server.asked:  # its workers outlive it for a moment
        before = server.asked
        time.sleep(1)
    return ended


def ledger(root: Path) -> list[tuple[str, str, str]]:
    """Return (subject, status, text) of every row of the ledger, sorted."""
    table = DeltaTable(str(root / COMPLETIONS.path)).to_pyarrow_table(columns=["subject_id", "status", "text"])
    return sorted((r["subject_id"], r["status"], r["text"]) for r in table.to_pylist())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the cost of the kills; return exit code 1 if a row differs or a kill costs more than two waves."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rows-per-wave", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="seed of the points of the kills")
    results.add_option(parser)
    options = parser.parse_args(arguments)
    rng, server, sizes = random.Random(options.seed), Server(), (options.rows, options.rows_per_wave)
    with tempfile.TemporaryDirectory() as scratch, serving(server.script) as endpoint:
        folder, undisturbed, killed = Path(scratch) / "model", Path(scratch) / "whole", Path(scratch) / "killed"
        save_tokenizer(folder)
        assert run(undisturbed, folder, endpoint, *sizes, server, None)
        expected, before = ledger(undisturbed), server.asked
        kills = 0
        while kills < options.kills:
            # Early enough that every kill finds work left.
            after = rng.randrange(1, 2 * options.rows // options.kills)
            if run(killed, folder, endpoint, *sizes, server, after):
                break
            kills += 1
        assert run(killed, folder, endpoint, *sizes, server, None)
        asked, rows = server.asked - before, ledger(killed)
    extra = asked - options.rows
    per_kill = extra / kills / options.rows_per_wave
    same = rows == expected
    sys.stdout.write(
        f"{options.rows:,} rows, {kills} kills: {len(rows):,} rows in the ledger, "
        f"{'the same as' if same else 'NOT THE SAME AS'} of a whole run; {extra:,} requests asked more than once, "
        f"{per_kill:.2f} waves a kill\n"
    )
    if options.record:
        what = f"waves asked again for each SIGKILL, of {kills} at random points"
        figures = [
            results.Found("requests asked more than once", extra, "requests"),
            results.Found(what, per_kill, "waves"),
        ]
        results.record(results.command_of("kills", arguments), figures)
    return 0 if same and per_kill <= 2 else 1


if __name__ == "__main__":
    sys.exit(main())
