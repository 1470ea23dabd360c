"""A run that is killed twice and started again has every answer once, and no answer changes."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from benchmarks.kills import Server, answer, ask, ledger, run
from model_ops.text.chat import ChatFormat
from tests.model_ops.fake_server import serving
from tests.tiny_model import save_tokenizer

pytestmark = pytest.mark.spark
N_ROWS, ROWS_PER_WAVE = 800, 200


def test_each_kill_costs_at_most_two_waves_and_no_row(tmp_path: Path, spark: SparkSession) -> None:
    model, lake, server = tmp_path / "model", tmp_path / "lake", Server()
    save_tokenizer(model)
    with serving(server.script) as endpoint:
        for kill_after in (420, 200):
            assert not run(lake, model, endpoint, N_ROWS, ROWS_PER_WAVE, server, kill_after)
        asked, kept = server.asked, len(ledger(lake))
        assert 0 < kept <= asked - 2, "the run was killed while requests were open"
        assert asked - kept <= 2 * 2 * 1.25 * ROWS_PER_WAVE, (
            "at most two waves per kill; their sizes vary with the hash"
        )
        ask(spark, lake, endpoint, model, N_ROWS, ROWS_PER_WAVE)
        assert server.asked == asked + N_ROWS - kept, "answers in the ledger are not requested again"
    chat = ChatFormat.load(model)
    expected = [(str(n), "ok", answer(chat.prompt_ids("", f"Row {n}"))) for n in range(N_ROWS)]
    assert ledger(lake) == sorted(expected)
