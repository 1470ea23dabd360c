"""A small data set in `gold.training_examples`, written without Spark."""

from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from schemas.content_digest import Digest, content_digest
from schemas.gold import TRAINING_EXAMPLES

DATASET = "demo/forward-0"


def rows(n_train: int = 6, n_dev: int = 2, dataset: str = DATASET) -> list[dict[str, str]]:
    """Generate examples of different lengths, every second one with a system message."""
    return [
        {
            "dataset": dataset,
            "example_id": f"{(i * 7) % 10:02d}",
            "system": "Answer the user." * (i % 2),
            "prompt": "Which question? " * (1 + i % 3),
            "completion": "This one, and the assistant writes it down. " * (1 + (i * 5) % 4),
            "origin": "seed",
            "source_id": f"pair-{i}",
            "split": "train" if i < n_train else "dev",
        }
        for i in range(n_train + n_dev)
    ]


def write_table(folder: Path, *datasets: list[dict[str, str]]) -> tuple[str, Digest]:
    """Write one commit per data set; return the table's path and the digest of the first data set."""
    path = folder / "gold" / "training_examples"
    schema = pa.schema([(name, pa.string()) for name in TRAINING_EXAMPLES.columns])
    for dataset in datasets:
        table = pa.Table.from_pylist(dataset, schema)
        write_deltalake(str(path), table, mode="append", partition_by=list(TRAINING_EXAMPLES.partition_by))
    return str(path), content_digest(pa.Table.from_pylist(datasets[0], schema).to_batches())
