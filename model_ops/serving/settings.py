"""The settings of a vLLM server that the run starts: those of the recipe, and those chosen at the start."""

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from model_ops.devices import DtypeSetting

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # the values that vLLM accepts for --max-lora-rank


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
    kv_cache_gb: int = Field(2, ge=1, description="memory for the key-value cache, in GB, on CPUs only")


class ServerSettings(ServerOptions):
    """The settings of one server to start; they are sent to Spark's executors."""

    model_config = ConfigDict(hide_input_in_errors=True)  # the input holds the key

    max_num_seqs: PositiveInt
    lora_rank: int | None = Field(None, description="rank of the adapters that the server loads; None: no adapters")
    host: str = "127.0.0.1"
    key: str | None = Field(None, repr=False, description="API key that clients must send; None: no key")
    devices: tuple[str, ...] = Field((), description="GPUs of the server; empty: all that CUDA shows")
