"""Read human conversations, OpenAssistant trees or instruction-response pairs, one JSON value per line.

humpback ingest-conversations --recipe FILE --lake URI --set 'ingest_conversations.paths=["trees.jsonl.gz"]'
"""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema

from jobs.errors import RecipeError
from jobs.lake.tables import Lake
from jobs.recipe.config import Recipe
from schemas.bronze import CONVERSATIONS
from transforms.seed.conversations import ROWS, rows_from, with_repeats

READS = ()
WRITES = CONVERSATIONS
UNIT = "messages"

ROWS_PER_BATCH = 1000


def run(lake: Lake, recipe: Recipe) -> None:
    """Read every file anew (a seed is small); messages that the lake knows are left out by the write."""
    files = conversation_files(lake, recipe)
    read = partial(_read, licence=recipe.ingest_conversations.licence)
    messages = files.select("path", "content").mapInArrow(read, ROWS)
    lake.write(CONVERSATIONS, with_repeats(messages))


def conversation_files(lake: Lake, recipe: Recipe) -> DataFrame:
    """The recipe's conversation files, `path` and `content`.

    Raises:
        RecipeError: no paths are given, or some match no file; lists them.
    """
    paths = [os.path.expanduser(path) for path in recipe.ingest_conversations.paths]
    if not paths:
        raise RecipeError("ingest_conversations.paths is empty: name the seed's JSONL files, plain or .gz")
    missing = []
    for path in paths:
        try:
            lake.spark.read.format("binaryFile").load(path)
        except AnalysisException:
            missing.append(path)
    if missing:
        found = f"{len(missing)} of {len(paths)} match no file"
        raise RecipeError(f"ingest_conversations.paths: {found}: {', '.join(missing)}; correct them")
    return lake.spark.read.format("binaryFile").load(paths)


def _read(batches: Iterable[pa.RecordBatch], licence: str | None) -> Iterator[pa.RecordBatch]:
    schema = to_arrow_schema(ROWS)
    for batch in batches:
        for path, content in zip(batch["path"], batch["content"], strict=True):
            rows = rows_from(content.as_buffer(), path=str(path).removeprefix("file:"), licence=licence)
            while some := list(islice(rows, ROWS_PER_BATCH)):
                yield pa.RecordBatch.from_pylist(some, schema)
