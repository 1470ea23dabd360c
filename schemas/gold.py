"""Gold: training data and evaluation results for consumers; every change of the first two tables is a release."""

from pyspark.sql.types import ArrayType, DoubleType, IntegerType, LongType, MapType, StringType, StructType

from schemas.bronze import MODEL_IDS
from schemas.silver import PAIR_IDS
from schemas.table import RETENTION, Table, column, finite

CURATED = Table(
    name="gold.curated",
    comment="A_k of one iteration: the pairs good enough to train on.",
    schema=StructType(
        [
            column("experiment", StringType(), "the recipe's name"),
            column("iteration", IntegerType(), "self-curation round, from 1"),
            column("pair_id", StringType(), "the pair", references=PAIR_IDS),
            column("instruction", StringType(), "the instruction"),
            column("response", StringType(), "the response to it"),
            column(
                "origin",
                StringType(),
                "backtranslated: the response is the segment; rewritten: a rewriter wrote it",
            ),
            column("score", DoubleType(), "the score that curation used, on the scorer's scale"),
            column("scorer", StringType(), "the scorer, or combination of scorers, that curation used"),
            column(
                "model_id",
                StringType(),
                "the forward model of the previous round, which scored",
                references=("ops.models.model_id",),
            ),
            column(
                "method_digests",
                ArrayType(StringType(), False),
                "method_digest of each scorer's ratings, then of each gate's",
                references=("silver.scores.method_digest",),
            ),
            column("threshold", DoubleType(), "the lowest score that curation keeps"),
            column("segment_id", StringType(), "the response's segment", references=("silver.segments.segment_id",)),
            column("url", StringType(), "the page's address"),
        ]
    ),
    key=("experiment", "iteration", "pair_id"),
    write="replace",
    partition_by=("experiment", "iteration"),
    constraints={
        "iteration_from_1": "iteration >= 1",
        "score_at_threshold": f"score >= threshold AND {finite('score')}",
        "instruction_not_empty": "length(trim(instruction)) > 0",
        "response_not_empty": "length(trim(response)) > 0",
    },
    properties=RETENTION,
)

TRAINING_EXAMPLES = Table(
    name="gold.training_examples",
    comment="One prompt and completion, as a model is trained on it.",
    schema=StructType(
        [
            column("dataset", StringType(), "<experiment>/<direction>-<iteration>"),
            column("example_id", StringType(), "sha256 of system, prompt and completion, hex"),
            column("system", StringType(), "the system message: the tag of the row's origin"),
            column("prompt", StringType(), "the user message"),
            column("completion", StringType(), "the answer that the model is trained to write"),
            column("origin", StringType(), "seed or augmented"),
            column(
                "source_id",
                StringType(),
                "the pair that it was made from",
                references=("silver.seed_pairs.pair_id", *PAIR_IDS),
            ),
            column("split", StringType(), "train or dev"),
        ]
    ),
    key=("dataset", "example_id"),
    write="replace",
    partition_by=("dataset",),
    constraints={
        "origin_known": "origin IN ('seed', 'augmented')",
        "split_known": "split IN ('train', 'dev')",
        "completion_not_empty": "length(trim(completion)) > 0",
    },
    properties=RETENTION,
)

GENERATIONS = Table(
    name="gold.generations",
    comment="A model's answer to an evaluation prompt.",
    schema=StructType(
        [
            column("method_digest", StringType(), "digest of the prompts, the system message and the sampling"),
            column("model_id", StringType(), "the model that answered", references=("ops.models.model_id",)),
            column("prompt_set", StringType(), "name of the set of evaluation prompts"),
            column("prompt_id", StringType(), "the prompt's id in its set"),
            column("sample", IntegerType(), "0 for the first sample"),
            column("prompt", StringType(), "the evaluation prompt"),
            column("output", StringType(), "the answer"),
            column("request_id", StringType(), "the raw answer", references=("bronze.completions.request_id",)),
        ]
    ),
    key=("method_digest", "model_id", "prompt_set", "prompt_id", "sample"),
    properties=RETENTION,
)

JUDGEMENTS = Table(
    name="gold.judgements",
    comment="A judge's pairwise verdict on two models' answers, asked in both orders.",
    schema=StructType(
        [
            column(
                "method_digest",
                StringType(),
                "digest of the judge's prompt and parser, the prompts answered and all sampling",
            ),
            column("judge_id", StringType(), "the judging model", references=MODEL_IDS),
            column("prompt_set", StringType(), "name of the set of evaluation prompts"),
            column("prompt_id", StringType(), "the prompt's id in its set"),
            column("model_id", StringType(), "the model judged", references=("ops.models.model_id",)),
            column("reference_id", StringType(), "the model it is compared with", references=("ops.models.model_id",)),
            column(
                "preference", DoubleType(), "from 1 (the reference is better) to 2 (the model is better)", nullable=True
            ),
            column("status", StringType(), "ok, unparsed or failed"),
            column(
                "request_ids",
                ArrayType(StringType(), False),
                "the raw answers in both orders",
                references=("bronze.completions.request_id",),
            ),
        ]
    ),
    key=("method_digest", "judge_id", "prompt_set", "prompt_id", "model_id", "reference_id"),
    constraints={
        "preference_range": "preference IS NULL OR preference BETWEEN 1 AND 2",
        "ok_has_preference": "(status = 'ok') = (preference IS NOT NULL)",
    },
    properties=RETENTION,
)

EVALUATIONS = Table(
    name="gold.evaluations",
    comment="A figure about a model, or about the difference between two models.",
    schema=StructType(
        [
            column(
                "figure_id",
                StringType(),
                "sha256 of experiment, evaluation, metric, models, method_digest and the items that count, hex",
            ),
            column("experiment", StringType(), "the recipe's name"),
            column(
                "evaluation",
                StringType(),
                "held_out_loss, known_pairs/<scorer>, answers/<evaluation> or harness/<benchmark>",
            ),
            column(
                "metric",
                StringType(),
                "loss, pair_loss, loss_change, pair_loss_change, auc/<kind>, win_rate or a metric of the harness",
            ),
            column("model_id", StringType(), "the model", references=MODEL_IDS),
            column(
                "reference_id",
                StringType(),
                "the model that it is compared with; null for a figure about one model",
                nullable=True,
                references=MODEL_IDS,
            ),
            column(
                "judge_id",
                StringType(),
                "the model that judged; null without a judge",
                nullable=True,
                references=MODEL_IDS,
            ),
            column("value", DoubleType(), "the figure: losses in nats per token, rates from 0 to 1"),
            column("low", DoubleType(), "lower end of its 95 % interval; null without an interval", nullable=True),
            column("high", DoubleType(), "upper end of its 95 % interval; null without an interval", nullable=True),
            column("n", LongType(), "items that count: pairs, prompts, questions or instructions"),
            column("n_left_out", LongType(), "items left out for lack of an answer that can be used"),
            column("method_digest", StringType(), "digest of the items, the requests about them and the arithmetic"),
            column(
                "versions", MapType(StringType(), LongType(), False), "table -> version that the figure was read from"
            ),
            column("run_id", StringType(), "the run that computed it", references=("ops.runs.run_id",)),
        ]
    ),
    key=("figure_id",),
    constraints={
        "value_is_finite": finite("value"),
        "interval_holds_value": f"(low IS NULL) = (high IS NULL) AND coalesce(low, value) <= value "
        f"AND value <= coalesce(high, value) AND {finite('coalesce(low, 0)')} AND {finite('coalesce(high, 0)')}",
        "counts_are_possible": "n >= 1 AND n_left_out >= 0",
        "compares_two_models": "reference_id IS NULL OR reference_id <> model_id",
    },
    properties=RETENTION,
)

TABLES = (CURATED, TRAINING_EXAMPLES, GENERATIONS, JUDGEMENTS, EVALUATIONS)
