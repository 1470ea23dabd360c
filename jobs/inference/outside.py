"""The models that a recipe names, and the servers of one that was not trained here: a chat API of OpenAI's kind."""

from dataclasses import dataclass, field
from functools import partial

from jobs.current.models import named_model
from jobs.current.registration import register_outside
from jobs.lake.writing import RunLake
from jobs.recipe.config import Inference, Recipe
from jobs.recipe.evaluation import CHAT_API, OutsideModel
from jobs.recipe.step import Servers
from model_ops.client.apis import ChatCompletions
from model_ops.client.endpoint import Endpoint, key_from_environment
from model_ops.client.engine import Engine
from model_ops.client.handshake import Patience, probe_chat
from model_ops.client.served_engine import ServedEngine
from model_ops.serving.model import Model


def asked_by_name(lake: RunLake, recipe: Recipe, servers: Servers, name: str, key: str) -> tuple[Model, Servers]:
    """Return the model that the recipe names under `key`, from `outside_models` or `ops.models`, and its servers.

    Raises:
        RecipeError: no model has that name.
    """
    outside = recipe.outside_models.get(name)
    if outside is None:
        return named_model(lake, name, key), servers
    is_fake = recipe.inference.engine == "fake"
    return register_outside(lake, outside), servers if is_fake else OutsideServers.of(recipe.inference, outside)


@dataclass(frozen=True)
class OutsideServers:
    """The addresses of one model's API, and the key for it."""

    inference: Inference
    outside: OutsideModel
    key: str | None = field(repr=False)

    @classmethod
    def of(cls, inference: Inference, outside: OutsideModel) -> "OutsideServers":
        """Read the key from the environment variable that the recipe names."""
        key = key_from_environment(outside.key_variable) if outside.key_variable else None
        return cls(inference, outside, key)

    def engine_for(self, model: Model, window: int) -> Engine:
        """Return an engine for the model after a first question to each address.

        Raises:
            HandshakeError: an address answers, but not as requests need it.
            EndpointError: an address does not answer for `inference.patience` seconds.
        """
        api, settings = ChatCompletions(self.outside.model, self.outside.logprobs), self.inference
        patience = Patience(settings.patience, settings.attempts)
        for url in self.outside.endpoints:
            endpoint = Endpoint(url, self.key)
            patience.wait_for(partial(probe_chat, endpoint, api))
        return ServedEngine(
            self.outside.endpoints,
            api,
            window,
            timeout=settings.timeout,
            patience=settings.patience,
            attempts=settings.attempts,
            key=self.key,
        )

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return none: the counters of the API's servers are not ours to ask for."""
        return ()

    def n_servers(self) -> int:
        """Return the number of addresses."""
        return len(self.outside.endpoints)

    def n_held_cores(self) -> int:
        """Return 0: nothing runs on Spark's cores."""
        return 0

    def chat_template_digest(self, model: Model) -> str:
        """Return the API's name, since its server renders the messages."""
        return CHAT_API

    def stop(self) -> None:
        """Do nothing: the servers are not ours."""
