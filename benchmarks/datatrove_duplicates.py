# /// script
# requires-python = "==3.11.*"
# dependencies = ["datatrove[io,processing]==0.10.1", "spacy>=3.8,<4"]
# ///
"""The four MinHash stages of datatrove, two tasks and two workers, on the segments of `benchmarks.duplicates`.

uv run --no-project benchmarks/datatrove_duplicates.py FOLDER
"""

import sys
import tempfile
import time
from pathlib import Path

began = time.perf_counter()

from datatrove.executor import LocalPipelineExecutor  # noqa: E402 - imports are part of the start-up
from datatrove.pipeline.dedup.minhash import (  # noqa: E402
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.readers import JsonlReader  # noqa: E402
from datatrove.pipeline.writers import JsonlWriter  # noqa: E402
from datatrove.utils.text import TextNormConfig  # noqa: E402

BANDS = 14


def main(folder: str) -> None:
    """Print the seconds of each stage and in total, and the number of segments kept."""
    config = MinhashConfig(
        n_grams=5, num_buckets=BANDS, hashes_per_bucket=8, norm_config=TextNormConfig(norm_numbers=False)
    )
    with tempfile.TemporaryDirectory() as work:
        reader = JsonlReader(folder, glob_pattern="*.jsonl")
        stages = {
            "signatures": ([reader, MinhashDedupSignature(f"{work}/signatures", config)], 2),
            "buckets": ([MinhashDedupBuckets(f"{work}/signatures", f"{work}/buckets", config=config)], BANDS),
            "clusters": ([MinhashDedupCluster(f"{work}/buckets", f"{work}/remove", config)], 1),
            "filter": (
                [reader, MinhashDedupFilter(f"{work}/remove"), JsonlWriter(f"{work}/kept", compression=None)],
                2,
            ),
        }
        for name, (pipeline, tasks) in stages.items():
            start = time.perf_counter()
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=2, logging_dir=f"{work}/logs/{name}").run()
            sys.stdout.write(f"{name:<12} {time.perf_counter() - start:8.1f} s\n")
        kept = sum(1 for file in Path(work, "kept").iterdir() for _ in file.open())
    sys.stdout.write(f"datatrove    {time.perf_counter() - began:8.1f} s, {kept:,} segments kept\n")


if __name__ == "__main__":
    main(sys.argv[1])
