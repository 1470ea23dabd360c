"""Read human conversations: OpenAssistant trees or instruction-response pairs, one JSON value per line.

A pair's system text, context and input are part of its prompt; `transforms/seed/conversations.py` says which fields.

humpback ingest-conversations --recipe FILE --lake URI --set 'ingest_conversations.paths=["trees.jsonl.gz"]'
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema

from jobs.lake import jvm
from jobs.lake.files import conversation_files, no_such_conversations
from jobs.lake.tables import Lake
from jobs.lake.writing import RunLake
from jobs.recipe.config import Recipe
from jobs.recipe.step import Parameters, Planned, Step
from schemas.bronze import CONVERSATIONS
from transforms.seed.conversations import ROWS, rows_from, with_repeats

READS = ()
WRITES = CONVERSATIONS
UNIT = "messages"
PARAMETERS = Parameters()

ROWS_PER_BATCH = 1000


def run(lake: RunLake, recipe: Recipe, step: Step) -> None:
    """Read every file again (a seed is small); the write leaves out messages that the lake holds already."""
    files = _contents(lake, recipe.ingest_conversations.paths)
    read = partial(_parse, licence=recipe.ingest_conversations.licence)
    messages = files.mapInArrow(read, ROWS)
    lake.write(CONVERSATIONS, with_repeats(messages))


def plan(lake: Lake, recipe: Recipe, step: Step) -> Planned:
    """Return a plan without a count of the new rows."""
    return Planned("look for new rows")


def _contents(lake: Lake, paths: Sequence[str]) -> DataFrame:
    """Read the conversation files as `path` and `content`.

    Raises:
        RecipeError: no paths are given, or some match no file; the message lists them.
    """
    files, remote = conversation_files(paths)
    missing = []
    for path in remote:
        try:
            lake.spark.read.format("binaryFile").load(path)
        except AnalysisException:
            missing.append(path)
    if missing:
        raise no_such_conversations(missing, len(paths))
    remote_contents = lake.spark.read.format("binaryFile").load(remote).select("path", "content") if remote else None
    if not files:
        assert remote_contents is not None  # an empty list of paths is refused
        return remote_contents
    # Spark would take a name for a glob, and a file whose name begins with _ for hidden.
    local = jvm.spread(lake.spark, [(file,) for file in files], "path string", len(files))
    local_contents = local.mapInArrow(_with_content, "path string, content binary")
    return local_contents if remote_contents is None else local_contents.union(remote_contents)


def _with_content(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for path in batch["path"].to_pylist():
            yield pa.RecordBatch.from_pydict({"path": [path], "content": [Path(str(path)).read_bytes()]})


def _parse(batches: Iterable[pa.RecordBatch], licence: str | None) -> Iterator[pa.RecordBatch]:
    schema = to_arrow_schema(ROWS)
    for batch in batches:
        for path, content in zip(batch["path"], batch["content"], strict=True):
            rows = rows_from(content.as_buffer(), path=str(path).removeprefix("file:"), licence=licence)
            while chunk := list(islice(rows, ROWS_PER_BATCH)):
                yield pa.RecordBatch.from_pylist(chunk, schema)
