"""The recipe: one frozen section per job.

Each default is written here once. A key's description says what the key does and ends with the source of its default
in brackets, where "paper" is arXiv 2308.06259. A description without brackets marks a default of this project.
`docs/recipe-reference.md` lists all keys; `python -m jobs.recipe.reference` prints it.
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from jobs.recipe.addresses import Addresses
from jobs.recipe.evaluation import BUILT_IN, Evaluation, IngestPrompts, Name, OutsideModel
from jobs.recipe.rewriting import RewriteResponses
from jobs.recipe.scoring import Curate, JudgeCheck, ScoreCandidates
from jobs.recipe.section import Section
from model_ops.serving.settings import ServerOptions
from model_ops.training.settings import TrainingSettings
from schemas.bronze import MAX_PAGE_BYTES
from transforms.pages.quality_rules import Quality

Direction = Literal["backward", "forward"]


class IngestDocuments(Section):
    """The crawl files to read, and the column names of Parquet and JSONL files."""

    paths: tuple[str, ...] = Field((), description="crawl files: paths, globs, or folders that are searched for them")
    url_column: str = Field("url", description="column of the address in Parquet and JSONL files (FineWeb)")
    text_column: str = Field("text", description="column of the page's text (FineWeb)")
    date_column: str = Field("date", description="optional column of the crawl date: ISO 8601 or a timestamp (FineWeb)")
    id_column: str = Field("id", description="optional column of the source's id (FineWeb)")
    split_bytes: int = Field(256 * 2**20, ge=2**20, description="bytes; a larger file is read by several tasks")
    commit_bytes: int = Field(
        2 * 2**30,
        ge=2**20,
        description="bytes of crawl files in one commit, or one larger file; a crash loses at most the work of one "
        "commit, and the local disk must hold about five times its bytes",
    )
    max_record_bytes: int = Field(
        MAX_PAGE_BYTES,
        gt=0,
        le=MAX_PAGE_BYTES,
        description="a larger page is quarantined; the default is the limit of bronze.documents",
    )


PersonalData = Literal["email", "card", "ip", "phone"]


class ExtractSegments(Section):
    """The rules that a piece of a page must pass to become a segment."""

    min_chars: int = Field(600, ge=1, description="shortest segment, in characters (paper, appendix)")
    max_chars: int = Field(3000, ge=1, description="longest segment, in characters (paper, appendix)")
    headerless: bool = Field(
        False,
        description="cut pages without headers, such as plain text, by paragraphs; the default drops them (paper)",
    )
    language: str = Field("en", description="ISO 639-1 code of the language to keep (paper)")
    max_sentence_jaccard: float = Field(
        0.7, gt=0, le=1, description="a segment is repetitive if two of its sentences are more similar"
    )
    sentence_ngram: int = Field(3, ge=1, description="words per n-gram when sentences are compared")
    quality: Quality = Quality()
    url_block_lists: tuple[str, ...] = Field(
        (), description="files of blocked domains and address prefixes, one a line, such as the UT1 lists"
    )
    word_block_lists: tuple[str, ...] = Field((), description="files of blocked words and phrases, one a line")
    max_blocked_words: int = Field(0, ge=0, description="a segment with more blocked words is dropped (C4)")
    scrub: tuple[PersonalData, ...] = Field(
        ("email", "card", "ip", "phone"), description="kinds of personal data to replace (FineWeb, Dolma)"
    )
    phone_region: str | None = Field(
        None,
        pattern="^[A-Z]{2}$",
        description="ISO 3166 code of the country whose phone numbers are recognised without a +; unset: no country",
    )


class SignSegments(Section):
    """MinHash signatures of segments, split into bands for locality-sensitive hashing."""

    shingle_words: int = Field(5, ge=1, description="words per shingle (FineWeb)")
    bands: int = Field(
        14, ge=1, description="bands per signature; two segments that share a band are compared (FineWeb)"
    )
    rows_per_band: int = Field(8, ge=1, description="hash values per band (FineWeb)")
    seed: int = Field(42, description="seed of the hash functions")


class FindDuplicates(Section):
    """The similarity at which a segment is a duplicate of another one."""

    min_jaccard: float = Field(0.8, gt=0, le=1, description="minimum exact Jaccard similarity of the word shingles")


class SelectUnlabelled(Section):
    """The experiment's pool of unlabelled segments, and the texts that must not be in it."""

    size: int = Field(502_133, ge=1, description="segments in the pool (paper, table 2)")
    sample_seed: str = Field("humpback", description="seed of the hash that decides the order of drawing")
    exclude_url_prefixes: tuple[str, ...] = Field(
        (), description="address prefixes of pages to leave out, such as those that the seed was taken from"
    )
    ngram_words: int = Field(
        13, ge=2, description="a segment is left out if it shares this many words in a row with a known text (GPT-3)"
    )
    short_ngram_words: int = Field(
        8, ge=2, description="the same for seed and evaluation texts of fewer than ngram_words words"
    )


class IngestConversations(Section):
    """The files of human-written seed data."""

    paths: tuple[str, ...] = Field(
        (), description="files of OpenAssistant trees or of instruction-response pairs: JSONL, plain or .gz"
    )
    licence: str | None = Field(None, description="licence of the pairs whose line names none, as an SPDX name")


class SelectSeed(Section):
    """The selection of seed pairs: the first turn of a conversation, written by a person, and its best-ranked reply."""

    language: str = Field("en", description="BCP 47 code of the language to keep (paper, section 3.1)")
    size: int = Field(3200, ge=1, description="seed pairs, drawn by hash (paper, section 3.1)")
    dev_share: float = Field(0.1, ge=0, lt=1, description="share of the pairs that is held out from training, by hash")


class BuildTrainingExamples(Section):
    """The system messages that tell seed examples from augmented ones."""

    seed_tag: str = Field(
        "Answer in the style of an AI Assistant.", description="system message of seed examples (paper, section 2.3)"
    )
    augmented_tag: str = Field(
        "Answer with knowledge from web search.",
        description="system message of augmented examples (paper, section 2.3)",
    )

    @property
    def inference_tag(self) -> str:
        """Both tags together, which the paper found best at inference (section 2.3)."""
        return f"{self.seed_tag} {self.augmented_tag}"


class Finetune(TrainingSettings, Section):
    """The training of each model: its hyperparameters, and whether the run itself trains."""

    launcher: Literal["local", "external"] = Field(
        "local", description="local: the run trains; external: the run stops and prints the training command"
    )
    epochs_of: dict[str, float] = Field(
        {}, description="epochs of single models, e.g. {forward-1 = 1.0}; other models use epochs"
    )

    @model_validator(mode="after")
    def _starts_enough_processes(self) -> Self:
        if self.sharding == "full" and self.launcher == "local":
            raise ValueError(
                'sharding = "full" needs several processes, and launcher = "local" starts one: '
                'set launcher to "external"'
            )
        return self

    def settings(self, direction: Direction, iteration: int) -> dict[str, Any]:
        """Return the settings of one model's training in the trainer's form, with the epochs of this model."""
        values = self.model_dump(mode="json", include=set(TrainingSettings.model_fields))
        return values | {"epochs": self.epochs_of.get(f"{direction}-{iteration}", self.epochs)}


class Serving(ServerOptions, Section):
    """The model servers: servers that already run, or servers that the run starts."""

    endpoints: Addresses = Field(
        (), description='addresses of running servers, e.g. ["http://gpu1:8000/v1"]; "local" or empty: start servers'
    )
    executors: int = Field(
        0, ge=0, description="number of servers to start on Spark's executors; 0: start them on this machine"
    )
    mode: Literal["adapters", "merged"] = Field(
        "adapters", description="adapters: a server of the base model loads adapters; merged: a server per model"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.endpoints and self.executors:
            raise ValueError("endpoints names running servers, executors starts new ones; leave one of them out")
        if self.port + self.executors > 65536:
            raise ValueError(f"{self.executors} ports from {self.port} on would exceed 65535; lower port or executors")
        return self


class Inference(Section):
    """The sending of requests from Spark to the servers: waves, retries and error limits."""

    rows_per_wave: int = Field(
        2048, ge=1, description="requests per wave; each wave is one commit, and a crash loses at most two waves"
    )
    partitions: int = Field(2, ge=1, description="most Spark tasks of one wave; two waves use at most all cores")
    in_flight: int = Field(64, ge=1, description="requests that one wave keeps open at each server")
    timeout: float = Field(600, gt=0, description="seconds that one request may take")
    patience: float = Field(
        300, ge=0, description="seconds for which all servers may be silent or busy before the job fails"
    )
    attempts: int = Field(4, ge=1, description="tries of one request before it counts as failed")
    max_failed_share: float = Field(
        0.02, ge=0, le=1, description="the job stops with exit code 3 if a larger share of the requests fails"
    )
    max_failed_in_a_row: int = Field(
        50,
        ge=1,
        description="the job sends no more requests, and stops with exit code 3, after this many failures in a row",
    )
    ask_again: tuple[Literal["failed", "empty", "cut", "refused"], ...] = Field(
        ("failed", "empty"),
        description="a request whose answer has one of these statuses is sent once more, at the end or in a later run",
    )
    engine: Literal["vllm", "fake"] = Field(
        "vllm", description="fake: deterministic answers without a model, for tests"
    )


class GenerateCandidates(Section):
    """Self-augmentation: the backward model writes instructions for the segments."""

    n_segments: int | None = Field(
        None, ge=1, description="number of segments of the pool to use, in the order of drawing; unset: all"
    )
    max_chars: int | None = Field(None, ge=1, description="longest segment to use, in characters; unset: no limit")
    temperature: float = Field(0.7, ge=0, description="sampling temperature (paper, section 3.1)")
    top_p: float = Field(0.9, gt=0, le=1, description="nucleus sampling (paper, section 3.1)")
    max_tokens: int = Field(256, ge=1, description="longest instruction, in tokens")
    samples: int = Field(
        1, ge=1, description="instructions per segment; more than one needs a temperature above 0 (paper, section 3.1)"
    )

    @model_validator(mode="after")
    def _require_temperature(self) -> Self:
        if self.samples > 1 and not self.temperature:
            raise ValueError("samples > 1 are identical at temperature 0; set temperature, e.g. 0.7")
        return self


class EvaluateModels(Section):
    """The forward models' loss on held-out seed pairs."""

    pairs: int = Field(
        200,
        ge=1,
        description="held-out seed pairs to measure on; the requests that judge_check has sent about them are not "
        "sent again",
    )
    iterations: tuple[int, ...] | None = Field(
        None,
        description="iterations of the forward models that `humpback run` measures and compares with the model before "
        "them; unset: all; []: none",
    )


class RunHarness(Section):
    """lm-evaluation-harness on a forward model's server: MMLU, OpenBookQA and IFEval from local files."""

    iterations: tuple[int, ...] = Field(
        (), description="iterations of the forward models that `humpback run` measures; empty: none"
    )
    mmlu: str | None = Field(
        None, description="folder or tar archive of MMLU, with dev/<subject>_dev.csv and test/<subject>_test.csv"
    )
    openbookqa: str | None = Field(None, description="JSON file of OpenBookQA's questions, in the form of LLM-Adapters")
    ifeval: str | None = Field(None, description="JSONL file of IFEval's prompts")
    limit: int | None = Field(
        None, ge=1, description="maximum number of questions per benchmark, chosen by a hash of their ids; unset: all"
    )
    few_shot: int = Field(5, ge=0, description="worked questions of the same subject before each question of MMLU")
    chat_template: bool = Field(
        False,
        description="ask questions of MMLU and OpenBookQA in a user's turn, after the system message of inference",
    )
    max_tokens: int = Field(
        1280, ge=1, description="longest answer to a prompt of IFEval, in tokens; sampling is greedy"
    )
    nltk_data: str | None = Field(
        None, description="folder with NLTK's tokenizers/punkt_tab for IFEval; unset: NLTK's default folders"
    )

    @model_validator(mode="after")
    def _has_a_benchmark(self) -> Self:
        if self.iterations and not (self.mmlu or self.openbookqa or self.ifeval):
            raise ValueError(
                "iterations without a benchmark; set mmlu, openbookqa or ifeval to a file, or iterations to []"
            )
        return self


class Recipe(Section):
    """All parameters of one experiment."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="name of the experiment")
    base_model: str = Field(description="folder of a causal language model in Hugging Face's format, with safetensors")
    iterations: int = Field(2, ge=1, description="rounds of self-curation (paper, section 3.1)")
    models_dir: str | None = Field(None, description="folder for trained models; unset: the folder models in the lake")
    ingest_documents: IngestDocuments = IngestDocuments()
    extract_segments: ExtractSegments = ExtractSegments()
    sign_segments: SignSegments = SignSegments()
    find_duplicates: FindDuplicates = FindDuplicates()
    select_unlabelled: SelectUnlabelled = SelectUnlabelled()
    ingest_conversations: IngestConversations = IngestConversations()
    ingest_prompts: IngestPrompts = IngestPrompts()
    select_seed: SelectSeed = SelectSeed()
    build_training_examples: BuildTrainingExamples = BuildTrainingExamples()
    finetune: Finetune = Finetune()
    serving: Serving = Serving()
    inference: Inference = Inference()
    generate_candidates: GenerateCandidates = GenerateCandidates()
    score_candidates: ScoreCandidates = ScoreCandidates()
    judge_check: JudgeCheck = JudgeCheck()
    rewrite_responses: RewriteResponses = RewriteResponses()
    curate: Curate = Curate()
    outside_models: dict[Name, OutsideModel] = Field(
        {}, description="models behind chat APIs, by the name that a judge or a rewriter has in this recipe"
    )
    evaluation: tuple[Evaluation, ...] = Field(
        (Evaluation(),), description="answers to prompt sets and their judgements, one table each"
    )
    evaluate_models: EvaluateModels = EvaluateModels()
    run_harness: RunHarness = RunHarness()

    @model_validator(mode="after")
    def _iterations_exist(self) -> Self:
        names = ("judge_check", "evaluate_models", "run_harness")
        named = [(f"{name}.iterations", getattr(self, name).iterations or ()) for name in names]
        for entry in self.evaluation:
            where = f"evaluation {entry.label}: "
            named += [(f"{where}{key}", getattr(entry, key)) for key in ("iterations", "judged_iterations")]
            named.append((f"{where}reference", (entry.reference,)))
        for key, iterations in named:
            out_of_range = [t for t in iterations if not 0 <= t <= self.iterations]
            if out_of_range:
                raise ValueError(f"{key} names {out_of_range[0]}; the forward models are 0 to {self.iterations}")
        return self

    @model_validator(mode="after")
    def _evaluations_are_possible(self) -> Self:
        sets = (BUILT_IN, *self.ingest_prompts.sets)
        unknown = [entry.set for entry in self.evaluation if entry.set not in sets]
        if unknown:
            raise ValueError(
                f"evaluation: the prompt set {unknown[0]} is not in ingest_prompts.sets; the sets are {', '.join(sets)}"
            )
        for entry in self.evaluation:
            compared = {*entry.judged_iterations, entry.reference} if entry.judged_iterations else set()
            silent = sorted(compared - {*self.answering_iterations(entry)})
            if silent:
                raise ValueError(
                    f"evaluation {entry.label}: the answers of iteration {silent[0]} would be judged, and its model "
                    "does not answer; add it to the iterations of this evaluation"
                )
        labels = [entry.label for entry in self.evaluation]
        repeated = [label for label in labels if labels.count(label) > 1]
        if repeated:
            raise ValueError(f"evaluation: {len(repeated)} entries are named {repeated[0]}; give each a different name")
        return self

    @property
    def prompt_sets(self) -> tuple[str, ...]:
        """The names of all prompt sets: those of the files, and the built-in one if an evaluation uses it."""
        used = tuple(entry.set for entry in self.evaluation if entry.set == BUILT_IN)[:1]
        return (*used, *self.ingest_prompts.sets)

    def answering_iterations(self, evaluation: Evaluation) -> tuple[int, ...]:
        """Return the iterations of the forward models that answer an evaluation's prompts."""
        return evaluation.iterations or (0, self.iterations)

    def answered(self, iteration: int) -> list[Evaluation]:
        """Return the evaluations whose prompts the forward model of an iteration answers."""
        return [entry for entry in self.evaluation if iteration in self.answering_iterations(entry)]

    def judged(self, iteration: int) -> list[Evaluation]:
        """Return the evaluations that compare the answers of the forward model of an iteration."""
        return [entry for entry in self.evaluation if iteration in entry.judged_iterations]

    @model_validator(mode="after")
    def _rewrites_exist(self) -> Self:
        if self.curate.response != "original" and self.rewrite_responses.rewriter is None:
            raise ValueError(
                f'curate.response = "{self.curate.response}" needs rewritten responses; name the model that writes '
                "them in rewrite_responses.rewriter"
            )
        return self

    @property
    def measured_iterations(self) -> tuple[int, ...]:
        """The iterations of the forward models whose held-out loss is measured, in ascending order."""
        named = self.evaluate_models.iterations
        return tuple(range(self.iterations + 1)) if named is None else tuple(sorted({*named}))
