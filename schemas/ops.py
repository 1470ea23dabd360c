"""Ops: the pipeline's own prompts, recipes, models, releases, runs and rejected rows."""

from pyspark.sql.types import (
    BooleanType,
    DoubleType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructType,
    TimestampType,
)

from schemas.table import Table, column

PAYLOAD_BYTES = 4096
COUNTS = MapType(StringType(), LongType(), False)

PROMPTS = Table(
    name="ops.prompts",
    comment="A prompt template as it was sent.",
    schema=StructType(
        [
            column("prompt_id", StringType(), "sha256 of name, text, prefill and chat_template_digest, hex"),
            column("name", StringType(), "the template's name"),
            column("text", StringType(), "the template; {instruction} and {response} are filled in"),
            column("prefill", StringType(), "the beginning of the answer that it prescribes", nullable=True),
            column("chat_template_digest", StringType(), "sha256 of the model's chat template, hex"),
        ]
    ),
    key=("prompt_id",),
)

MODELS = Table(
    name="ops.models",
    comment="A trained model.",
    schema=StructType(
        [
            column("model_id", StringType(), "<direction>-<iteration>-<6 hex digits: weights, data set, settings>"),
            column("experiment", StringType(), "the recipe's name"),
            column("direction", StringType(), "backward (response -> instruction) or forward"),
            column("iteration", IntegerType(), "0 for M_yx and M0"),
            column("base_model", StringType(), "the model it was finetuned from"),
            column("path", StringType(), "folder of weights and manifest"),
            column("digest", StringType(), "sha256 over all files that shape the answers, hex"),
            column("dataset", StringType(), "the training set", references=("gold.training_examples.dataset",)),
            column("table_version", LongType(), "version of gold.training_examples that training read"),
            column("n_examples", LongType(), "training rows read"),
            column(
                "content_digest",
                StringType(),
                "digest of the training set's rows as they were released",
                references=("ops.releases.content_digest",),
            ),
            column("config_digest", StringType(), "digest of the finetuning settings and base model"),
            column("metrics", MapType(StringType(), DoubleType(), False), "losses, tokens/s, ..."),
            column("run_id", StringType(), "the run that registered it", references=("ops.runs.run_id",)),
        ]
    ),
    key=("model_id",),
    constraints={"direction_known": "direction IN ('backward', 'forward')", "iteration_from_0": "iteration >= 0"},
)

BASE_MODELS = Table(
    name="ops.base_models",
    comment="A base model that was asked itself, to compare the models trained from it with it.",
    schema=StructType(
        [
            column("model_id", StringType(), "base-<6 hex digits of digest>"),
            column("path", StringType(), "folder of the weights"),
            column("digest", StringType(), "sha256 over all files that shape the answers, hex"),
            column("run_id", StringType(), "the run that asked it first", references=("ops.runs.run_id",)),
        ]
    ),
    key=("model_id",),
)

OUTSIDE_MODELS = Table(
    name="ops.outside_models",
    comment="A model behind an outside API that a run asked, such as a judge or a rewriter.",
    schema=StructType(
        [
            column("model_id", StringType(), "<served name>-<6 hex digits of digest>"),
            column("served_name", StringType(), "the name under which the API knows the model"),
            column("api", StringType(), "the API that was called: chat/completions"),
            column("logprobs", BooleanType(), "whether its answers have log-probabilities"),
            column("digest", StringType(), "digest of the other columns, 16 hex digits; the weights are not known"),
            column("run_id", StringType(), "the run that asked it first", references=("ops.runs.run_id",)),
        ]
    ),
    key=("model_id",),
    constraints={"api_known": "api IN ('chat/completions')"},
)

RELEASES = Table(
    name="ops.releases",
    comment="A published version of a slice of a gold table.",
    schema=StructType(
        [
            column("release_id", StringType(), "sha256 of table, slice, version and content_digest, hex"),
            column("table", StringType(), "the gold table"),
            column("experiment", StringType(), "the recipe's name"),
            column("iteration", IntegerType(), "the iteration published"),
            column("slice", StringType(), "SQL predicate that selects the slice"),
            column("version", LongType(), "Delta version that holds it"),
            column("n_rows", LongType(), "rows of the slice"),
            column("content_digest", StringType(), "digest of the slice's rows, independent of their order, hex"),
            column(
                "expectations_report",
                StringType(),
                "Data Docs page of the audit, below the lake; null if the lake is not a local folder",
                nullable=True,
            ),
            column("published_at", TimestampType(), "UTC"),
        ]
    ),
    key=("release_id",),
)

RECIPES = Table(
    name="ops.recipes",
    comment="The settings of an experiment, as a run used them.",
    schema=StructType(
        [
            column("recipe_digest", StringType(), "the first 16 digits of the settings' sha256, hex"),
            column("experiment", StringType(), "the recipe's name"),
            column("settings", StringType(), "JSON object of all keys of the recipe, defaults included"),
            column("code_version", StringType(), "version of humpback that ran it first"),
            column("recorded_at", TimestampType(), "UTC"),
        ]
    ),
    key=("recipe_digest",),
)

RUNS = Table(
    name="ops.runs",
    comment="One execution of one job, with its row account: n_in = n_out + dropped + quarantined.",
    schema=StructType(
        [
            column("run_id", StringType(), "unique, random"),
            column("loop_id", StringType(), "shared by the jobs of one `humpback run`"),
            column("job", StringType(), "the job's name; run: a whole loop that succeeded"),
            column("experiment", StringType(), "the recipe's name"),
            column("iteration", IntegerType(), "null if the job has none", nullable=True),
            column("direction", StringType(), "backward or forward; null if the job has none", nullable=True),
            column("unit", StringType(), "unit of the counts: records, pieces, requests, ..."),
            column("n_in", LongType(), "new inputs of this run"),
            column("n_out", LongType(), "inputs that passed"),
            column("dropped", COUNTS, "reason -> inputs dropped by a rule of the method"),
            column("quarantined", COUNTS, "rule -> inputs rejected as defective, listed in ops.quarantine"),
            column("inputs", COUNTS, "table -> version read"),
            column(
                "methods",
                MapType(StringType(), StringType(), False),
                "current methods: table, scorer or evaluation -> method_digest; base or <direction>-<iteration> -> "
                "model_id; null if none",
                nullable=True,
            ),
            column(
                "bookmarks",
                COUNTS,
                "digest of a method -> point it has reached; null if none is kept",
                nullable=True,
            ),
            column("version", LongType(), "version written; null if nothing was written", nullable=True),
            column("recipe_digest", StringType(), "the key of its row in ops.recipes; older releases wrote none there"),
            column("code_version", StringType(), "version of humpback"),
            column("seconds", DoubleType(), "wall-clock time"),
            column("n_calls", LongType(), "model calls"),
            column("n_tokens", LongType(), "tokens read and written by models, or trained on"),
            column(
                "prefix_hit_rate",
                DoubleType(),
                "share of the prompts' tokens found in the servers' prefix caches; null if no server reports it",
                nullable=True,
            ),
            column(
                "state_digest",
                StringType(),
                "for a loop that left nothing to do: digest of recipe, code, input files and table versions",
                nullable=True,
            ),
            column(
                "status",
                StringType(),
                "ok, failed, stopped (an expectation), waiting (outside work), or killed (entered by a later run)",
            ),
            column("started_at", TimestampType(), "UTC"),
        ]
    ),
    key=("run_id",),
    write="log",
    properties={"delta.checkpointInterval": "100"},  # one row per commit: checkpoints cost more than they save
)

QUARANTINE = Table(
    name="ops.quarantine",
    comment="A row or record that was rejected as defective, with the rule it broke.",
    schema=StructType(
        [
            column("run_id", StringType(), "the run that rejected it", references=("ops.runs.run_id",)),
            column("table", StringType(), "the table for which it was meant"),
            column("row_id", StringType(), "the row's key, or file and offset of a record"),
            column("rule", StringType(), "the rule it broke"),
            column("detail", StringType(), "description of the defect", nullable=True),
            column("source_file", StringType(), "the file it came from", nullable=True),
            column("record_offset", LongType(), "byte offset in that file, or line number", nullable=True),
            column("payload", StringType(), f"the row or record, at most {PAYLOAD_BYTES // 1024} KiB", nullable=True),
            column(
                "resolved_by",
                StringType(),
                "the later run that wrote the row; null while it is missing",
                nullable=True,
                references=("ops.runs.run_id",),
            ),
        ]
    ),
    key=("run_id", "table", "row_id", "rule"),
    write="log",
    partition_by=("table",),  # each write looks for rows of its table
)

TABLES = (PROMPTS, RECIPES, MODELS, BASE_MODELS, OUTSIDE_MODELS, RELEASES, RUNS, QUARANTINE)
