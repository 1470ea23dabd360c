"""Silver: cleaned, typed and keyed rows, from segments to scores."""

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
)

from schemas.bronze import MODEL_IDS
from schemas.table import RETENTION, Table, column, finite


def _segment_columns(*, text_nullable: bool, references: tuple[str, ...] = ()) -> list[StructField]:
    """Return the columns that describe a segment; `references` are those of `segment_id`."""
    return [
        column("segment_id", StringType(), "sha256 of document_id, position and text, hex", references=references),
        column("document_id", StringType(), "the segment's page", references=("bronze.documents.document_id",)),
        column("url", StringType(), "the page's address"),
        column("position", IntegerType(), "index among the pieces of the page, from 0"),
        column("header", StringType(), "the header's text, numbering removed; empty without one"),
        column("header_level", IntegerType(), "1 to 6; 0 for a page without headers"),
        column("header_path", ArrayType(StringType(), False), "headers above it, outermost first"),
        column(
            "text", StringType(), "the piece rendered as Markdown-like text; null when dropped", nullable=text_nullable
        ),
        column("n_chars", IntegerType(), "length of the text in characters, also when dropped"),
        column(
            "language",
            StringType(),
            "ISO 639-1 code of the prose; null if not examined or without prose",
            nullable=True,
        ),
        column("language_score", DoubleType(), "probability of that language", nullable=True),
        column(
            "replaced",
            MapType(StringType(), IntegerType(), False),
            "personal data replaced in the text: email, card, ip or phone -> count; null when dropped",
            nullable=text_nullable,
        ),
    ]


SEGMENT_ID = ("silver.segments.segment_id",)
BEFORE_FINITE = "'scores/1', 'scores/2', 'scores/3', 'scores/4'"
"""Parsers that accepted NaN and, from rounding, a label mass above 1. Their rows no longer count, but may stay."""
SUPPORT = StructType(  # Delta refuses NOT NULL inside an array
    [
        column("sentence", StringType(), "a sentence of the response", nullable=True),
        column("start", IntegerType(), "position of its first character in the response, from 0", nullable=True),
        column("end", IntegerType(), "position after its last character", nullable=True),
        column("source_start", IntegerType(), "start of the supporting place in the segment, if any", nullable=True),
        column("source_end", IntegerType(), "end of that place, exclusive, if any", nullable=True),
        column(
            "score",
            DoubleType(),
            "share, by weight, of its content words that the segment's best places have",
            nullable=True,
        ),
        column("missing", ArrayType(StringType()), "numbers, dates, URLs and names the segment lacks", nullable=True),
        column("is_supported", BooleanType(), "null for a sentence without a claim", nullable=True),
    ]
)
METHOD_DIGEST = column("method_digest", StringType(), "digest of the recipe section and method that made the row")

SEGMENTS = Table(
    name="silver.segments",
    comment="Every header-rooted piece of every page, kept or with the reason it was dropped.",
    schema=StructType(
        [
            METHOD_DIGEST,
            *_segment_columns(text_nullable=True),
            column("drop_reason", StringType(), "the first rule that dropped it; null when kept", nullable=True),
        ]
    ),
    key=("method_digest", "segment_id"),
    holds="all",
    partition_by=("method_digest",),
    constraints={"kept_has_text": "drop_reason IS NOT NULL OR length(text) > 0"},
)

SIGNATURES = Table(
    name="silver.signatures",
    comment="The MinHash of a kept segment.",
    schema=StructType(
        [
            METHOD_DIGEST,
            column("segment_id", StringType(), "the segment", references=SEGMENT_ID),
            column("text_digest", StringType(), "sha256 of the normalised text, hex: equal means exact duplicate"),
            column("bands", ArrayType(LongType(), False), "one hash per LSH band"),
        ]
    ),
    key=("method_digest", "segment_id"),
    partition_by=("method_digest",),
    # find-duplicates reads the version that it judged last.
    properties=RETENTION,
)

DUPLICATES = Table(
    name="silver.duplicates",
    comment="A segment that repeats another segment, which is kept instead.",
    schema=StructType(
        [
            METHOD_DIGEST,
            column("segment_id", StringType(), "the repetition", references=SEGMENT_ID),
            column("keeper_id", StringType(), "the segment kept instead", references=SEGMENT_ID),
            column("kind", StringType(), "exact or near"),
            column("jaccard", DoubleType(), "Jaccard similarity of word shingles with the keeper, 0 to 1"),
        ]
    ),
    key=("method_digest", "segment_id"),
    holds="dropped",
    partition_by=("method_digest",),
    constraints={
        "kind_known": "kind IN ('exact', 'near')",
        "not_its_own_keeper": "segment_id <> keeper_id",
        "jaccard_range": "jaccard BETWEEN 0 AND 1",
    },
)

UNLABELLED = Table(
    name="silver.unlabelled",
    comment="The paper's unlabelled set y: deduplicated, decontaminated, sampled. Once drawn, a segment stays.",
    schema=StructType(
        [
            column("experiment", StringType(), "the recipe's name"),
            *_segment_columns(text_nullable=False, references=SEGMENT_ID),
            column(
                "sample_hash",
                StringType(),
                "sha256 of select_unlabelled.sample_seed and segment_id: the order of drawing",
            ),
        ]
    ),
    key=("experiment", "segment_id"),
    partition_by=("experiment",),
)

OVERLAPS = Table(
    name="silver.overlaps",
    comment="A segment that is excluded because it shares a run of words with a seed pair or evaluation prompt.",
    schema=StructType(
        [
            column("experiment", StringType(), "the recipe's name"),
            column("segment_id", StringType(), "the segment", references=SEGMENT_ID),
            column("known_set", StringType(), "seed, or the evaluation set as the recipe names it"),
            column(
                "known_id", StringType(), "for seed, the pair_id in silver.seed_pairs; else the prompt's id in its set"
            ),
            column("phrase", StringType(), "a run of words that both contain, in lower case"),
        ]
    ),
    key=("experiment", "segment_id", "known_set", "known_id"),
    partition_by=("experiment",),
)

SEED_PAIRS = Table(
    name="silver.seed_pairs",
    comment="A human instruction and its human response, drawn for an experiment.",
    schema=StructType(
        [
            column("experiment", StringType(), "the recipe's name"),
            column("pair_id", StringType(), "sha256 of instruction and response, hex"),
            column("instruction", StringType(), "the human instruction"),
            column("response", StringType(), "the human response"),
            column("language", StringType(), "BCP 47 code", nullable=True),
            column("source", StringType(), "the collection that it comes from"),
            column("licence", StringType(), "SPDX name, or the recipe's value", nullable=True),
            column("split", StringType(), "train or dev, by hash of pair_id"),
        ]
    ),
    key=("experiment", "pair_id"),
    constraints={
        "split_known": "split IN ('train', 'dev')",
        "instruction_not_empty": "length(trim(instruction)) > 0",
        "response_not_empty": "length(trim(response)) > 0",
    },
)

CANDIDATES = Table(
    name="silver.candidates",
    comment="An instruction predicted for a segment by a backward model.",
    schema=StructType(
        [
            column("candidate_id", StringType(), "sha256 of method_digest, segment_id, model_id and request_id, hex"),
            column("method_digest", StringType(), "digest of the prompt, the sampling and the parser"),
            column(
                "segment_id",
                StringType(),
                "the segment, as drawn",
                references=("silver.unlabelled.segment_id",),
            ),
            column("instruction", StringType(), "the predicted instruction"),
            column("response", StringType(), "the segment's text"),
            column("model_id", StringType(), "the backward model", references=("ops.models.model_id",)),
            column("request_id", StringType(), "the raw answer", references=("bronze.completions.request_id",)),
        ]
    ),
    key=("candidate_id",),
    constraints={"instruction_not_empty": "length(trim(instruction)) > 0"},
    properties=RETENTION,
)


REWRITES = Table(
    name="silver.rewrites",
    comment="A model's rewrite of the response of a pair, with the reason if it was dropped.",
    schema=StructType(
        [
            column("rewrite_id", StringType(), "sha256 of method_digest, parent_id, model_id and request_id, hex"),
            column("method_digest", StringType(), "digest of the prompt, the sampling, the rules and the parser"),
            column(
                "parent_id",
                StringType(),
                "the pair whose response was rewritten",
                references=("silver.candidates.candidate_id",),
            ),
            column("segment_id", StringType(), "the segment of the pair", references=("silver.unlabelled.segment_id",)),
            column("instruction", StringType(), "the pair's instruction"),
            column(
                "response", StringType(), "the rewritten response; null if the reply could not be read", nullable=True
            ),
            column("model_id", StringType(), "the rewriter", references=MODEL_IDS),
            column("request_id", StringType(), "the raw answer", references=("bronze.completions.request_id",)),
            column(
                "unsupported_share",
                DoubleType(),
                "share of the response's sentences that the segment does not support, 0 to 1; null without a response",
                nullable=True,
            ),
            column(
                "supports",
                ArrayType(SUPPORT),
                "the sentences of the response, each with the part of the segment that supports it best",
                nullable=True,
            ),
            column("drop_reason", StringType(), "the first rule that dropped it; null when kept", nullable=True),
        ]
    ),
    key=("rewrite_id",),
    holds="all",
    constraints={
        "kept_has_response": "drop_reason IS NOT NULL OR length(trim(response)) > 0",
        "share_is_possible": "unsupported_share IS NULL OR unsupported_share BETWEEN 0 AND 1",
    },
    properties=RETENTION,
)
PAIR_IDS = ("silver.candidates.candidate_id", "silver.rewrites.rewrite_id")
"""The columns with the id of every pair that is scored and curated."""


def _scores(name: str, comment: str, rated: str, references: tuple[str, ...] = ()) -> Table:
    """Declare a table of ratings; `rated` describes `pair_id`, and `references` are the columns that hold it."""
    return Table(
        name=name,
        comment=comment,
        schema=StructType(
            [
                column("method_digest", StringType(), "digest of the scorer's prompt, sampling and parser"),
                column("pair_id", StringType(), rated, references=references),
                column(
                    "model_id",
                    StringType(),
                    "the model that scored; for a scorer without a model, the forward model that the other scorers ask",
                    references=("ops.models.model_id",),
                ),
                column("scorer", StringType(), "rubric, additive, expected, likelihood_gain, ..."),
                column(
                    "score",
                    DoubleType(),
                    "a number on the scorer's scale, or in nats or nats per token; null unless status is ok",
                    nullable=True,
                ),
                column("scale_low", DoubleType(), "the lowest possible score; null for no limit", nullable=True),
                column("scale_high", DoubleType(), "the highest possible score; null for no limit", nullable=True),
                column("status", StringType(), "ok, unparsed, out_of_range, cut or failed"),
                column("label_mass", DoubleType(), "probability of all labels together, 0 to 1", nullable=True),
                column("parser", StringType(), "name and version of the parser that read the answer"),
                column(
                    "request_ids",
                    ArrayType(StringType(), False),
                    "the raw answers",
                    references=("bronze.completions.request_id",),
                ),
            ]
        ),
        key=("method_digest", "pair_id", "model_id", "scorer"),
        constraints={
            "status_known": "status IN ('ok', 'unparsed', 'out_of_range', 'cut', 'failed')",
            "ok_has_score": "(status = 'ok') = (score IS NOT NULL)",
            "numbers_are_finite": f"(score IS NULL OR {finite('score')}) AND coalesce(label_mass, 0) BETWEEN 0 AND 1 "
            f"OR parser IN ({BEFORE_FINITE})",
            "on_scale": "score IS NULL OR score BETWEEN coalesce(scale_low, score) AND coalesce(scale_high, score)",
        },
        properties=RETENTION,
    )


SCORES = _scores(
    "silver.scores",
    "One rating of one pair by one model with one scorer.",
    "the pair",
    references=PAIR_IDS,
)
KNOWN_SCORES = _scores(
    "silver.known_scores",
    "One rating of one pair of known quality, for the judge check.",
    "known/<origin>/<kind>/<group>/<digest of both texts>; the kind true is good, every other bad",
)

TABLES = (
    SEGMENTS,
    SIGNATURES,
    DUPLICATES,
    UNLABELLED,
    OVERLAPS,
    SEED_PAIRS,
    CANDIDATES,
    REWRITES,
    SCORES,
    KNOWN_SCORES,
)
