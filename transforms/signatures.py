"""`silver.segments` to `silver.signatures`: MinHash by rensa over word n-grams, in LSH bands."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rensa import RMinHash

from transforms.shingles import ngrams_of, words_of

# rensa's signatures are comparable within one version only, which pyproject.toml pins.
METHOD_VERSION = "signatures-1/rensa-0.5.0"
PRIME = np.uint64(0x100000001B3)  # FNV-1a, over 32-bit words
BASIS = np.uint64(0xCBF29CE484222325)


def signatures_from(
    segments: DataFrame, *, shingle_words: int, bands: int, rows_per_band: int, seed: int, method_digest: str
) -> DataFrame:
    """The digest of the words, and one hash per band of the MinHash, of each kept segment."""

    def sign(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            sets: Any = batch.column("shingles")
            flat = sets.flatten().to_numpy(zero_copy_only=False).view(np.uint64)
            sizes = sets.value_lengths().to_numpy(zero_copy_only=False)
            ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint64)
            hashes = band_hashes(flat, ends, bands, rows_per_band, seed)
            starts = pa.array(range(0, hashes.size + 1, bands), pa.int32())
            lists = pa.ListArray.from_arrays(starts, pa.array(hashes.reshape(-1)))
            columns = [batch.column("segment_id"), batch.column("text_digest"), lists]
            yield pa.RecordBatch.from_arrays(columns, ["segment_id", "text_digest", "bands"])

    kept = segments.where(F.col("drop_reason").isNull())
    sets = kept.select("segment_id", words_of(F.col("text")).alias("words")).select(
        "segment_id",
        F.sha2(F.array_join("words", " "), 256).alias("text_digest"),
        ngrams_of(F.col("words"), shingle_words).alias("shingles"),
    )
    rows = sets.mapInArrow(sign, "segment_id string, text_digest string, bands array<bigint>")
    return rows.withColumn("method_digest", F.lit(method_digest))


def band_hashes(
    shingles: npt.NDArray[np.uint64],
    offsets: npt.NDArray[np.uint64],
    bands: int,
    rows_per_band: int,
    seed: int,
) -> npt.NDArray[np.int64]:
    """One row of `bands` hashes for each set of shingles; sets lie end to end, `offsets` says where.

    The number of the band enters its hash, so that equal rows in different bands do not meet.
    """
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(shingles, offsets, bands * rows_per_band, seed)
    minima = np.array(matrix.to_rows(), dtype=np.uint64).reshape(-1, bands, rows_per_band)
    hashes: npt.NDArray[np.uint64] = np.arange(1, bands + 1, dtype=np.uint64) ^ BASIS
    for row in range(rows_per_band):
        hashes = (hashes ^ minima[:, :, row]) * PRIME  # wraps, as meant
        hashes = hashes ^ (hashes >> np.uint64(32))
    return hashes.view(np.int64)
