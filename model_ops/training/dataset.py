"""The rows to train on: read at a pinned version without a JVM, verified, tokenised, put in order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from model_ops.text.chat import ChatFormat
from model_ops.training.settings import TrainingError
from schemas.content_digest import Digest, content_digest
from schemas.gold import TRAINING_EXAMPLES
from schemas.place import opened


@dataclass(frozen=True)
class Example:
    """A prompt and the completion to learn, as token ids."""

    example_id: str
    prompt: list[int]
    completion: list[int]

    def __len__(self) -> int:
        """Tokens in all."""
        return len(self.prompt) + len(self.completion)


@dataclass(frozen=True)
class Splits:
    """The examples to train on, and those held out."""

    train: list[Example]
    dev: list[Example]

    @property
    def tokens(self) -> int:
        """Tokens of an epoch, without padding."""
        return sum(map(len, self.train))


def read_rows(table: str, version: int, dataset: str) -> pa.Table:
    """The rows of one data set in `gold.training_examples`, as of a version of the table.

    Raises:
        TrainingError: no such table or version, or it cannot be read.
    """
    try:
        with opened(table, lambda path: DeltaTable(path, version=version)) as delta:
            return delta.to_pyarrow_table(columns=TRAINING_EXAMPLES.columns, filters=[("dataset", "=", dataset)])
    except (DeltaError, OSError, ValueError) as error:
        raise TrainingError(f"cannot read version {version} of {table}: {error}") from error


def check_rows(rows: pa.Table, dataset: str, expected: Digest) -> None:
    """Make sure that these are the rows that were released.

    Raises:
        TrainingError: another number of rows, or other contents.
    """
    found = content_digest(rows.to_batches())
    if found != expected:
        raise TrainingError(
            f"{dataset} is not what was released: {found[0]:,} rows with digest {found[1]}, expected"
            f" {expected[0]:,} with {expected[1]}; take version, rows and digest from one row of ops.releases"
        )


def examples(rows: pa.Table, split: str, chat: ChatFormat, limit: int) -> list[Example]:
    """The examples of a split as tokens, ordered by `example_id`.

    Raises:
        TrainingError: some are longer than `limit` tokens: they are never cut.
    """
    made = [
        Example(
            row["example_id"],
            chat.prompt_ids(row["system"], row["prompt"]),
            chat.completion_ids(row["completion"]),
        )
        for row in sorted(rows.to_pylist(), key=lambda row: str(row["example_id"]))
        if row["split"] == split
    ]
    long = [example for example in made if len(example) > limit]
    if long:
        longest = max(long, key=len)
        raise TrainingError(
            f"{len(long):,} of {len(made):,} {split} examples are longer than {limit:,} tokens, e.g."
            f" {longest.example_id} with {len(longest):,}; raise max_length or leave them out of the data set"
        )
    return made


def training_order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[int]:
    """The order in which an epoch visits the examples.

    Batches are drawn at random; inside each the longest come first, so that the forward passes it
    is split into hold examples of about one length and little padding.
    """
    order = list(range(len(lengths)))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [i for batch in batches for i in sorted(batch, key=lambda i: (-lengths[i], i))]
