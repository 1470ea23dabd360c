"""The rows to train on: read at a pinned version without a JVM, verified, tokenised and ordered."""

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
        """Return the number of tokens of prompt and completion."""
        return len(self.prompt) + len(self.completion)


@dataclass(frozen=True)
class Splits:
    """The examples to train on, and the held-out examples."""

    train: list[Example]
    dev: list[Example]

    @property
    def tokens(self) -> int:
        """Number of tokens in an epoch, without padding."""
        return sum(map(len, self.train))


def read_rows(table: str, version: int, dataset: str) -> pa.Table:
    """Read the rows of one data set in `gold.training_examples`, at a version of the table.

    Raises:
        TrainingError: the table or version does not exist, or cannot be read.
    """
    try:
        with opened(table, lambda path: DeltaTable(path, version=version)) as delta:
            return delta.to_pyarrow_table(columns=TRAINING_EXAMPLES.columns, filters=[("dataset", "=", dataset)])
    except (DeltaError, OSError, ValueError) as error:
        raise TrainingError(f"cannot read version {version} of {table}: {error}") from error


def check_rows(rows: pa.Table, dataset: str, expected: Digest) -> None:
    """Check that `rows` are the released rows, by number and content digest.

    Raises:
        TrainingError: number or digest differs from `expected`.
    """
    digest = content_digest(rows.to_batches())
    if digest != expected:
        raise TrainingError(
            f"{dataset} is not what was released: {digest[0]:,} rows with digest {digest[1]}, expected"
            f" {expected[0]:,} with {expected[1]}; take version, rows and digest from one row of ops.releases"
        )


def examples(rows: pa.Table, split: str, chat: ChatFormat, limit: int) -> list[Example]:
    """Encode the examples of a split, ordered by `example_id`.

    Raises:
        TrainingError: examples are longer than `limit` tokens; they are never cut.
    """
    encoded = [
        Example(
            row["example_id"],
            chat.prompt_ids(row["system"], row["prompt"]),
            chat.completion_ids(row["completion"]),
        )
        for row in sorted(rows.to_pylist(), key=lambda row: str(row["example_id"]))
        if row["split"] == split
    ]
    too_long = [example for example in encoded if len(example) > limit]
    if too_long:
        longest = max(too_long, key=len)
        raise TrainingError(
            f"{len(too_long):,} of {len(encoded):,} {split} examples are longer than {limit:,} tokens, e.g."
            f" {longest.example_id} with {len(longest):,}; raise max_length or leave them out of the data set"
        )
    return encoded


def training_order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[int]:
    """Return the indices of the examples in the order of an epoch.

    Batches are random. Within a batch the longest examples come first, so that each forward pass
    holds examples of similar length and little padding.
    """
    order = list(range(len(lengths)))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [i for batch in batches for i in sorted(batch, key=lambda i: (-lengths[i], i))]
