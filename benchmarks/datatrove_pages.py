# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["datatrove[io,processing]==0.10.1"]
# ///
"""The peer of `benchmarks.pages_on_spark`: datatrove reads the same WARC files and extracts their text.

uv run --no-project benchmarks/datatrove_pages.py FOLDER_WITH_WARC_FILES
"""

import gzip
import sys
import tempfile
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.readers import WarcReader
from datatrove.pipeline.writers import JsonlWriter

WORKERS = 2


def main() -> int:
    """Print the seconds for reading, extracting and writing, start-up of the workers included."""
    folder = sys.argv[1]
    with tempfile.TemporaryDirectory() as out:
        steps = [
            WarcReader(folder, glob_pattern="*.warc.gz"),
            Trafilatura(favour_precision=True, timeout=1),
            JsonlWriter(f"{out}/text"),
        ]
        began = time.perf_counter()
        run = LocalPipelineExecutor(steps, tasks=WORKERS, workers=WORKERS, logging_dir=f"{out}/logs")
        run.run()
        seconds = time.perf_counter() - began
        n_pages = sum(gzip.decompress(f.read_bytes()).count(b"\n") for f in Path(out, "text").iterdir())
    sys.stdout.write(f"datatrove: {n_pages:,} pages extracted in {seconds:.1f} s with {WORKERS} workers\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
