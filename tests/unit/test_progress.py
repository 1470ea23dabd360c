"""Figures of a run from the servers' counters."""

import pytest

from jobs.inference.progress import watched
from jobs.lake.runs import Run
from model_ops.client.endpoint import Endpoint
from schemas.silver import CANDIDATES
from tests.model_ops.fake_server import serving

METRICS = """# HELP vllm:prefix_cache_queries_total Prefix cache queries, in terms of number of queried tokens.
vllm:prefix_cache_queries_total{{engine="0",model_name="m"}} {queries}
vllm:prefix_cache_hits_total{{engine="0",model_name="m"}} {hits}
vllm:request_success_total{{engine="0",finished_reason="stop",model_name="m"}} 3.0
"""


@pytest.fixture
def run() -> Run:
    return Run("generate-candidates", "test", "0" * 16, CANDIDATES)


def test_prefix_cache_hits_are_counted_from_the_start_of_the_run(run: Run) -> None:
    looks = iter([(1e6, 2e5), (1.5e6, 6e5), (1.5e6, 6e5)])

    def script(*_: object) -> tuple[int, dict[str, str], bytes]:
        queries, hits = next(looks)
        return 200, {}, METRICS.format(queries=queries, hits=hits).encode()

    with serving(script) as endpoint, watched((Endpoint(endpoint),), run, 3):
        pass
    assert run.row("ok")["prefix_hit_rate"] == 0.8


def test_a_server_without_counters_counts_as_zero(run: Run) -> None:
    with serving(lambda *_: (404, {}, {})) as endpoint, watched((Endpoint(endpoint),), run, 3):
        pass
    assert run.row("ok")["prefix_hit_rate"] is None


@pytest.mark.parametrize("number", ["NaN", "+Inf", "-5", "1.2.3", "1e999", "1e", "9" * 400, "1e15", "many", ""])
def test_an_invalid_counter_is_ignored(run: Run, number: str) -> None:
    text = METRICS.format(queries=number, hits=number).encode()
    with serving(lambda *_: (200, {}, text)) as endpoint, watched((Endpoint(endpoint),), run, 3):
        pass
    assert run.row("ok")["prefix_hit_rate"] is None
