"""Turn `silver.segments` into `silver.signatures`: MinHash by rensa over word n-grams, in LSH bands."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rensa import RMinHash

from transforms.dedup.shingles import BASIS, TEXTS, mixed, ngrams, words

# rensa's signatures are comparable only within one version, which pyproject.toml pins.
METHOD_VERSION = "signatures-2/rensa-0.5.0"


def signatures_from(
    segments: DataFrame, *, shingle_words: int, bands: int, rows_per_band: int, seed: int, method_digest: str
) -> DataFrame:
    """Return the digest of the words, and one hash per band of the MinHash, for each kept segment."""

    def sign(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for at in range(0, batch.num_rows, TEXTS):
                part = batch.slice(at, TEXTS)
                word_lists = words(part.column("text"))
                runs = ngrams(word_lists, shingle_words)
                flat, ends = runs.values.to_numpy().view(np.uint64), runs.offsets.to_numpy().astype(np.uint64)
                hashes = band_hashes(flat, ends, bands, rows_per_band, seed)
                starts = pa.array(range(0, hashes.size + 1, bands), pa.int32())
                lists = pa.ListArray.from_arrays(starts, pa.array(hashes.reshape(-1)))
                texts: Any = pc.binary_join(word_lists, " ")
                digests = [hashlib.sha256(text.as_buffer()).hexdigest() for text in texts]
                columns = [part.column("segment_id"), pa.array(digests), lists]
                yield pa.RecordBatch.from_arrays(columns, ["segment_id", "text_digest", "bands"])

    kept = segments.where(F.col("drop_reason").isNull()).select("segment_id", "text")
    rows = kept.mapInArrow(sign, "segment_id string, text_digest string, bands array<bigint>")
    return rows.withColumn("method_digest", F.lit(method_digest))


def band_hashes(
    shingles: npt.NDArray[np.uint64],
    offsets: npt.NDArray[np.uint64],
    bands: int,
    rows_per_band: int,
    seed: int,
) -> npt.NDArray[np.int64]:
    """Return one row of `bands` hashes for each set of shingles; the sets are concatenated, bounded by `offsets`.

    A band's number enters its hash, so that equal rows in different bands do not collide.
    """
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(shingles, offsets, bands * rows_per_band, seed)
    minima = np.array(matrix.to_rows(), dtype=np.uint64).reshape(-1, bands, rows_per_band)
    hashes: npt.NDArray[np.uint64] = np.arange(1, bands + 1, dtype=np.uint64) ^ BASIS
    for row in range(rows_per_band):
        hashes = mixed(hashes, minima[:, :, row])
    return hashes.view(np.int64)
