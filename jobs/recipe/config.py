"""The recipe: one frozen section per job. Each default is written here once, with its source.

Sources: "paper" is arXiv 2308.06259; the rest says what it is.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from jobs.recipe.scoring import Curate, JudgeCheck, ScoreCandidates
from jobs.recipe.section import Section
from model_ops.serving.settings import ServerOptions
from model_ops.training.settings import TrainingSettings
from schemas.bronze import MAX_PAGE_BYTES
from transforms.pages.quality_rules import Quality

Direction = Literal["backward", "forward"]


class IngestDocuments(Section):
    """Which crawl files to read, and the columns of those that are tables of texts."""

    paths: tuple[str, ...] = Field((), description="files, globs, or folders with WARC, Parquet or JSONL files below")
    url_column: str = Field("url", description="of Parquet and JSONL; the four defaults are FineWeb's")
    text_column: str = "text"
    date_column: str = Field("date", description="ISO 8601, or Parquet's dates and timestamps; files may lack it")
    id_column: str = Field("id", description="files may lack it")
    split_bytes: int = Field(256 * 2**20, ge=2**20, description="a larger file is read by several tasks")
    commit_bytes: int = Field(
        2 * 2**30,
        ge=2**20,
        description="of crawl files that are read, staged and written at a time, or one larger file: "
        "a crash costs no more, and their pages, some five times as many bytes, fit on the local disk meanwhile",
    )
    max_record_bytes: int = Field(
        MAX_PAGE_BYTES,
        gt=0,
        le=MAX_PAGE_BYTES,
        description="larger pages are quarantined; the default is the table's own limit",
    )


PersonalData = Literal["email", "card", "ip", "phone"]


class ExtractSegments(Section):
    """The paper's rules for a self-contained segment."""

    min_chars: int = Field(600, ge=1, description="paper, appendix: total length 600 to 3,000 characters")
    max_chars: int = Field(3000, ge=1)
    headerless: bool = Field(
        False, description="cut pages without headers, as plain text is, by paragraphs; the paper leaves them out"
    )
    language: str = Field("en", description="paper: the English part of ClueWeb22")
    max_sentence_jaccard: float = Field(0.7, gt=0, le=1, description="own choice: the paper names no threshold")
    sentence_ngram: int = Field(3, ge=1, description="own choice: the paper names no n")
    quality: Quality = Quality()
    url_block_lists: tuple[str, ...] = Field((), description="files of domains and address prefixes, e.g. UT1's")
    word_block_lists: tuple[str, ...] = Field((), description="files of words and phrases")
    max_blocked_words: int = Field(0, ge=0, description="C4 drops a page for one")
    scrub: tuple[PersonalData, ...] = Field(
        ("email", "card", "ip", "phone"), description="replaced: email and ip as in FineWeb, phone as in Dolma"
    )
    phone_region: str | None = Field(
        None, pattern="^[A-Z]{2}$", description="ISO 3166: whose phone numbers count without their +; none: no one's"
    )


class SignSegments(Section):
    """MinHash signatures, FineWeb's bands."""

    shingle_words: int = Field(5, ge=1)
    bands: int = Field(14, ge=1)
    rows_per_band: int = Field(8, ge=1)
    seed: int = 42


class FindDuplicates(Section):
    """When a segment counts as a repetition."""

    min_jaccard: float = Field(0.8, gt=0, le=1, description="every candidate pair is verified against it")


class SelectUnlabelled(Section):
    """The pool that is drawn for this experiment."""

    size: int = Field(502_133, ge=1, description="paper, table 2")
    sample_seed: str = "humpback"
    exclude_url_prefixes: tuple[str, ...] = Field((), description="pages the seed was taken from")
    evaluation_paths: tuple[str, ...] = Field((), description="JSONL prompt sets that must not be in the pool")
    ngram_words: int = Field(13, ge=2, description="overlap of this many words with seed or evaluation text (GPT-3)")
    short_ngram_words: int = Field(8, ge=2, description="the same for seed and evaluation texts under ngram_words")


class IngestConversations(Section):
    """Where the seed comes from."""

    paths: tuple[str, ...] = Field((), description="OpenAssistant trees or instruction-response JSONL, plain or .gz")
    licence: str | None = None


class SelectSeed(Section):
    """The paper's seed rule, section 3.1: English, first turn, human, rank 0."""

    language: str = "en"
    size: int = Field(3200, ge=1, description="paper, section 3.1; drawn by hash")
    dev_share: float = Field(0.1, ge=0, lt=1, description="held out by hash of the pair")


class BuildTrainingExamples(Section):
    """How a pair becomes prompt and completion."""

    seed_tag: str = "Answer in the style of an AI Assistant."  # paper, section 2.3
    augmented_tag: str = "Answer with knowledge from web search."  # paper, section 2.3

    @property
    def inference_tag(self) -> str:
        """Both tags, which the paper found best at inference (section 2.3)."""
        return f"{self.seed_tag} {self.augmented_tag}"


class Finetune(TrainingSettings, Section):
    """Training settings, and where and for how long each model is trained."""

    launcher: Literal["local", "external"] = "local"
    epochs_of: dict[str, float] = Field({}, description="e.g. {forward-1 = 1.0}; for the others: epochs")

    def settings(self, direction: Direction, iteration: int) -> dict[str, Any]:
        """What the trainer is told for one model."""
        values = self.model_dump(mode="json", include=set(TrainingSettings.model_fields))
        return values | {"epochs": self.epochs_of.get(f"{direction}-{iteration}", self.epochs)}


ADDRESS = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:(?P<port>\d{1,5}))?(/[a-z0-9._~%+/-]*)?", re.IGNORECASE)
SECRETS = "@?#"
"""What comes after or before these in an address may be a secret, which the ledger and messages would repeat."""


def _addresses(given: Any) -> Any:
    """`local` is no address; one that ends with a slash is another's twin."""
    if given == "local":
        return ()
    return [a.rstrip("/") if isinstance(a, str) else a for a in given] if isinstance(given, list | tuple) else given


def _plain(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what is no plain address of a server, without repeating it."""
    for place, address in enumerate(addresses, 1):
        which = f"address {place} of {len(addresses)}"
        if set(SECRETS) & set(address):
            raise ValueError(
                f"{which} has a user name, password, query or fragment; take it out, and set HUMPBACK_API_KEY to the "
                "servers' key"
            )
        found = ADDRESS.fullmatch(address)
        if not found or int(found["port"] or 0) > 65535:
            raise ValueError(f"{which} is no address of a server; write it like http://gpu1:8000/v1")
    return addresses


class Serving(ServerOptions, Section):
    """Where models answer: a recipe's endpoints, or a server that the run starts itself."""

    endpoints: Annotated[tuple[str, ...], BeforeValidator(_addresses), AfterValidator(_plain)] = Field(
        (), description='e.g. ["http://gpu1:8000/v1"]; "local" or empty: start one here'
    )
    executors: int = Field(0, ge=0, description="so many servers of merged models on Spark's executors instead")
    mode: Literal["adapters", "merged"] = "adapters"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.endpoints and self.executors:
            raise ValueError("endpoints names servers that run, executors starts some: leave one of them out")
        if self.port + self.executors > 65536:
            raise ValueError(f"there are no {self.executors} ports from {self.port} on")
        return self


class Inference(Section):
    """How requests travel from Spark to the servers."""

    rows_per_wave: int = Field(2048, ge=1, description="one commit each; two are open, and a crash costs those")
    partitions: int = Field(2, ge=1, description="tasks of one wave, at most; two waves take half of the cores each")
    in_flight: int = Field(64, ge=1, description="requests a wave keeps open at each server: what it answers at once")
    timeout: float = Field(600, gt=0, description="seconds for one request")
    patience: float = Field(
        300, ge=0, description="seconds that all servers may be silent or busy, from the first look on"
    )
    attempts: int = Field(4, ge=1, description="tries of one request before it counts as failed")
    max_failed_share: float = Field(0.02, ge=0, le=1, description="above it the job stops with exit code 3")
    max_failed_in_a_row: int = Field(50, ge=1, description="so many, and the job sends no more and stops likewise")
    ask_again: tuple[Literal["failed", "empty", "cut", "refused"], ...] = ("failed", "empty")  # once more
    engine: Literal["vllm", "fake"] = Field("vllm", description="fake: deterministic, without weights, for tests")


class GenerateCandidates(Section):
    """Self-augmentation: one instruction per segment."""

    n_segments: int | None = Field(None, ge=1, description="at most this many of the pool, in drawing order")
    max_chars: int | None = Field(None, ge=1, description="only segments up to this length go to the models")
    temperature: float = Field(0.7, ge=0)  # paper, section 3.1
    top_p: float = Field(0.9, gt=0, le=1)  # paper, section 3.1
    max_tokens: int = Field(256, ge=1)


class GenerateAnswers(Section):
    """Answers to evaluation prompts."""

    prompts: str | None = Field(None, description="JSONL with id and prompt; none: the project's own small set")
    prompt_set: str = "humpback"
    iterations: tuple[int, ...] = Field((), description="which forward models answer; empty: the first and the last")
    temperature: float = Field(0.7, ge=0)  # paper, section 3.1
    top_p: float = Field(0.9, gt=0, le=1)  # paper, section 3.1
    max_tokens: int = Field(512, ge=1)


class JudgeAnswers(Section):
    """Which of two models' answers a judge prefers."""

    judge: str | None = Field(None, description="a model_id of ops.models; none: the last forward model")
    reference: int = Field(0, ge=0, description="the forward model whose answers are compared with")
    iterations: tuple[int, ...] = Field((), description="forward models that `humpback run` judges; empty: none")


class Recipe(Section):
    """A full set of parameters: one experiment."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="the experiment's name")
    base_model: str = Field(description="folder of a Hugging Face causal language model in safetensors")
    iterations: int = Field(2, ge=1)  # paper, section 3.1
    models_dir: str | None = Field(None, description="where trained models go; none: <lake>/models")
    ingest_documents: IngestDocuments = IngestDocuments()
    extract_segments: ExtractSegments = ExtractSegments()
    sign_segments: SignSegments = SignSegments()
    find_duplicates: FindDuplicates = FindDuplicates()
    select_unlabelled: SelectUnlabelled = SelectUnlabelled()
    ingest_conversations: IngestConversations = IngestConversations()
    select_seed: SelectSeed = SelectSeed()
    build_training_examples: BuildTrainingExamples = BuildTrainingExamples()
    finetune: Finetune = Finetune()
    serving: Serving = Serving()
    inference: Inference = Inference()
    generate_candidates: GenerateCandidates = GenerateCandidates()
    score_candidates: ScoreCandidates = ScoreCandidates()
    judge_check: JudgeCheck = JudgeCheck()
    curate: Curate = Curate()
    generate_answers: GenerateAnswers = GenerateAnswers()
    judge_answers: JudgeAnswers = JudgeAnswers()

    @model_validator(mode="after")
    def _iterations_exist(self) -> Self:
        for name in ("judge_check", "generate_answers", "judge_answers"):
            beyond = [t for t in getattr(self, name).iterations if not 0 <= t <= self.iterations]
            if beyond:
                raise ValueError(f"{name}.iterations names {beyond[0]}; the forward models are 0 to {self.iterations}")
        return self

    @property
    def answering_iterations(self) -> tuple[int, ...]:
        """The forward models that answer the evaluation prompts."""
        return self.generate_answers.iterations or (0, self.iterations)
