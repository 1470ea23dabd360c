"""The settings of a vLLM server that the run starts: those of the recipe, and those chosen at the start."""

import re

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator

from model_ops.devices import DtypeSetting

OURS = (
    *("--model", "--served-model-name", "--host", "--port", "--api-key", "--dtype", "--max-model-len"),
    *("--max-num-seqs", "--generation-config", "--structured-outputs-config", "--enable-lora", "--max-lora-rank"),
    *("--enforce-eager", "--tensor-parallel-size", "--disable-uvicorn-access-log", "--logprobs-mode"),
)
"""Arguments of vLLM's server that humpback sets, or whose defaults its requests rely on."""
UNSAFE = ("--trust-remote-code", "--tokenizer", "--chat-template", "--middleware", "--config", "--tool-parser-plugin")

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # the values that vLLM accepts for --max-lora-rank


def _argument(word: str) -> str:
    """Return the name in `--name=value` or `--name.key`; vLLM reads an underscore as a hyphen."""
    return re.split(r"[=.]", word, maxsplit=1)[0].replace("_", "-")


class ServerOptions(BaseModel):
    """Options with which a server is started; the defaults are the recipe's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpus: int = Field(1, ge=0, description="GPUs of each server that the run starts; 0 on CPUs")
    port: int = Field(
        8765, ge=1, le=65535, description="port of the server on this machine; the first of the ports on executors"
    )
    dtype: DtypeSetting = Field("auto", description="number format of the weights; auto: the fastest on the device")
    max_model_len: int = Field(2048, ge=64, description="longest prompt and answer together, in tokens")
    max_num_seqs: PositiveInt | None = Field(
        None, description="sequences that a server computes at once; unset: inference.in_flight"
    )
    eager: bool = Field(False, description="skip compilation: the server starts faster and runs slower")
    start_timeout: float = Field(600, gt=0, description="seconds that a server may take to start")
    extra: tuple[str, ...] = Field(
        (), description='more arguments of vLLM\'s server, e.g. ["--swap-space", "8"]; not those that humpback sets'
    )
    kv_cache_gb: int = Field(2, ge=1, description="memory for the key-value cache, in GB, on CPUs only")

    @field_validator("extra")
    @classmethod
    def _leaves_ours_alone(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        names = [_argument(word) for word in words if word.startswith("-")]
        if words and not words[0].startswith("--"):
            raise ValueError(f"begins with {words[0]!r}; the first word is an argument's name, such as --swap-space")
        for name in names:
            if not name.startswith("--"):
                raise ValueError(f"{name} is a short name; write the argument's name in full")
            if name in UNSAFE:
                raise ValueError(f"{name} would run or load code that comes with a model; leave it out")
            # argparse takes any unambiguous beginning of a name for it.
            if near := next((ours for ours in OURS if ours.startswith(name)), None):
                raise ValueError(f"{name} is humpback's own ({near}); see the other keys of serving")
        return words


class ServerSettings(ServerOptions):
    """The settings of one server to start; they are sent to Spark's executors."""

    model_config = ConfigDict(hide_input_in_errors=True)  # the input holds the key

    max_num_seqs: PositiveInt
    lora_rank: int | None = Field(None, description="rank of the adapters that the server loads; None: no adapters")
    host: str = "127.0.0.1"
    key: str | None = Field(None, repr=False, description="API key that clients must send; None: no key")
    devices: tuple[str, ...] = Field((), description="GPUs of the server; empty: all that CUDA shows")
