"""lm-evaluation-harness as a process that asks one of our servers, with every default that can hurt set explicitly."""

import importlib.metadata
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.errors import JobError
from jobs.recipe.benchmarks import Rows
from model_ops.client.apis import Completions
from model_ops.client.endpoint import KEY
from model_ops.client.served_engine import ServedEngine
from model_ops.serving.vllm_server import end_with_parent
from transforms.evaluation.harness import SEEDS, task, task_name

PACKAGE = "lm-eval"
LAST_LINES, LAST_CHARS = 5, 600
CUT = "Left truncating context"

log = logging.getLogger(__name__)


def required_version() -> str:
    """Return the version of lm-evaluation-harness.

    Raises:
        JobError: it is not installed.
    """
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise JobError(
            "lm-evaluation-harness is not installed; install the extra humpback[harness], e.g. uv sync --extra harness"
        ) from error


def samples_of(
    engine: ServedEngine, tokenizer: str, benchmarks: Mapping[str, Rows], asking: Mapping[str, Any], output: Path
) -> dict[str, list[str]]:
    """Ask the server about each benchmark's rows; return the lines of the harness's log of samples by benchmark.

    `tokenizer` is the model's folder, `asking` the result of `asking`, and `output` the file for the harness's output.

    Raises:
        JobError: the harness failed.
    """
    assert isinstance(engine.api, Completions)
    with tempfile.TemporaryDirectory(prefix="humpback-harness-") as name:
        folder = Path(name)
        for benchmark, rows in benchmarks.items():
            file = folder / f"{benchmark}.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            (folder / "tasks").mkdir(exist_ok=True)
            (folder / "tasks" / f"{benchmark}.yaml").write_text(json.dumps(task(benchmark, str(file))))  # JSON is YAML
        config = configuration(engine, tokenizer, [task_name(b) for b in benchmarks], folder) | dict(asking)
        (folder / "config.yaml").write_text(json.dumps(config))
        run_process(["-m", "lm_eval", "run", "--config", str(folder / "config.yaml")], folder, output, key=engine.key)
        if n_cut := output.read_text(errors="replace").count(CUT):
            raise JobError(
                f"{n_cut:,} prompts of lm-evaluation-harness were longer than the server takes "
                f"({engine.api.max_model_len:,} tokens) and lost their beginning, which makes their figures wrong; "
                "raise serving.max_model_len or lower run_harness.few_shot"
            )
        return {benchmark: _log_of(folder / "out", benchmark) for benchmark in benchmarks}


def configuration(engine: ServedEngine, tokenizer: str, tasks: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return the harness's configuration: prompts as token ids, our limits, and neither a cache nor code of others.

    Left alone, it would take 2,048 tokens for the longest prompt and send one request at a time.
    """
    assert isinstance(engine.api, Completions)
    return {
        "model": "local-completions",
        "model_args": {
            "model": engine.api.model,
            "base_url": f"{engine.endpoints[0]}/completions",
            "tokenizer": tokenizer,
            "tokenizer_backend": "huggingface",
            "tokenized_requests": True,
            "add_bos_token": False,
            "num_concurrent": max(2, engine.window),  # one at a time, it would heed proxies of the environment
            "max_length": engine.api.max_model_len,
            "timeout": round(engine.timeout),
            "max_retries": engine.attempts,
            "trust_remote_code": False,
        },
        "tasks": list(tasks),
        "include_path": str(folder / "tasks"),
        "num_fewshot": 0,
        "batch_size": 1,
        "device": "cpu",
        "limit": None,
        "seed": list(SEEDS),
        "use_cache": None,
        "cache_requests": {},
        "log_samples": True,
        "output_path": str(folder / "out"),
        "trust_remote_code": False,
        "confirm_run_unsafe_code": False,
    }


def run_process(
    words: Sequence[str], folder: Path, output: Path, *, key: str | None = None, nltk_data: str | None = None
) -> None:
    """Run Python with these arguments, without downloads and with all caches in `folder`; its output goes to a file.

    Raises:
        JobError: it failed; the message ends with its last lines.
    """
    offline = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"), "1")
    caches = {"HF_HOME": str(folder / "hf"), "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder)}
    environment = os.environ | offline | caches | {"no_proxy": "*", "TOKENIZERS_PARALLELISM": "false"}
    environment |= {"OPENAI_API_KEY": key or "none"} | ({"NLTK_DATA": nltk_data} if nltk_data else {})
    environment.pop(KEY, None)
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as out:
        done = subprocess.run(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
            preexec_fn=end_with_parent,
        )
    if done.returncode:
        raise JobError(f"lm-evaluation-harness failed with exit code {done.returncode}; {_end_of(output)}")


def _end_of(output: Path) -> str:
    lines = [line for line in output.read_text(errors="replace").splitlines() if line.strip()]
    return f"its output {output} ends: {' | '.join(lines[-LAST_LINES:])[-LAST_CHARS:]}"


def _log_of(folder: Path, benchmark: str) -> list[str]:
    files = sorted(folder.rglob(f"samples_{task_name(benchmark)}_*.jsonl"))
    if len(files) != 1:
        raise JobError(f"lm-evaluation-harness left {len(files)} logs of samples for {benchmark}, not one")
    return files[0].read_text(encoding="utf-8").splitlines()
