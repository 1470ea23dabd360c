"""The doctor detects and names each fault that a machine can have."""

import sys
from pathlib import Path

import pytest

from jobs.cli import doctor
from jobs.errors import JobError
from jobs.recipe.config import Recipe
from tests.model_ops.fake_server import Script, serving
from tests.tiny_model import save_tokenizer
from tests.tiny_weights import write_weights


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the program that replaces the Java of JAVA_HOME."""
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    return program


@pytest.mark.parametrize("banner", ['openjdk version "17.0.15" 2025-04-15', 'openjdk version "21" 2023-09-19'])
def test_java_17_or_newer_is_accepted(java: Path, banner: str) -> None:
    java.write_text(f"#!/bin/sh\necho '{banner}' >&2\n")
    java.chmod(0o755)
    doctor.require_java()


@pytest.mark.parametrize(
    ("banner", "found"),
    [
        ('java version "1.8.0_392"', "Java 8 at"),
        ('openjdk version "11.0.2"', "Java 11 at"),
        ("oops", "printed no version"),
    ],
)
def test_an_old_or_strange_java_is_refused_in_one_sentence(java: Path, banner: str, found: str) -> None:
    java.write_text(f"#!/bin/sh\necho '{banner}' >&2\n")
    java.chmod(0o755)
    with pytest.raises(JobError, match=rf"Spark needs Java 17 or newer: .*{found}.*; install") as raised:
        doctor.require_java()
    assert "\n" not in str(raised.value)


def test_a_hanging_java_times_out(java: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java.write_text("#!/bin/sh\nsleep 60\n")
    java.chmod(0o755)
    monkeypatch.setattr(doctor, "JAVA_SECONDS", 1.0)
    with pytest.raises(JobError, match=r"Java 17 or newer: .*/bin/java -version did not answer within 1 s; install"):
        doctor.require_java()


def test_a_java_home_without_java_is_refused(java: Path) -> None:
    with pytest.raises(JobError, match="which has no bin/java; install"):
        doctor.require_java()


def test_no_java_at_all_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JobError, match="no java on the path; install a Java 17"):
        doctor.require_java()


MODELS = b'{"data": [{"id": "forward-1"}, {"id": "base"}]}'


def answering(health: int = 200, models: bytes = MODELS) -> Script:
    """A server's replies to `/health` and `/v1/models`."""
    return lambda path, body, number: (health, {}, b"") if path == "/health" else (200, {}, models)


def a_check(name: str, endpoint: str, base_model: str = "/nowhere") -> doctor.Check:
    recipe = Recipe(name="test", base_model=base_model, serving={"endpoints": (endpoint,)})
    [found] = [check for check in doctor._recipe(recipe, None) if check.name.startswith(name)]
    return found


@pytest.mark.parametrize("health", [200, 404])
def test_a_healthy_endpoint_lists_its_models(health: int) -> None:
    with serving(answering(health)) as endpoint:
        check = a_check("endpoint", endpoint)
    assert (check.ok, check.detail) == (True, "serves base, forward-1")


def test_an_unhealthy_endpoint_is_reported() -> None:
    with serving(answering(503)) as endpoint:
        check = a_check("endpoint", endpoint)
    assert (check.ok, check.detail) == (False, "/health answers HTTP 503")


def test_an_endpoint_that_is_not_a_model_server_is_reported() -> None:
    with serving(answering(models=b"<html>")) as endpoint:
        assert not a_check("endpoint", endpoint).ok


def test_an_unreachable_endpoint_is_reported() -> None:
    check = a_check("endpoint", "http://127.0.0.1:9/v1")
    assert not check.ok
    assert "http://127.0.0.1:9/v1 does not answer" in check.detail


def test_an_invalid_base_model_is_reported(tmp_path: Path) -> None:
    check = a_check("base model", "http://127.0.0.1:9/v1", str(tmp_path))
    assert not check.ok
    assert str(tmp_path) in check.detail


def test_a_store_without_atomic_commits_is_named() -> None:
    [check] = doctor._store("s3a://bucket/lake")
    assert check.ok
    assert "only one write at a time" in check.detail


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    [check] = doctor._store(str(tmp_path / "not" / "there" / "yet"), min_free_gb=10**9)
    assert not check.ok
    assert check.detail.endswith(f"GB free in {tmp_path}")


def test_a_base_model_with_nonfinite_weights_is_reported(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    write_weights(tmp_path / "model.safetensors", a=("F32", [1.0, float("nan")]))
    endpoint = "http://127.0.0.1:1/v1"
    check = a_check("base model", endpoint, str(tmp_path))
    assert (check.ok, check.detail.partition(": ")[2]) == (
        False, "1 of 2 weights is NaN or infinite, in 1 of 1 tensors, e.g. 1 of the 2 in a",
    )  # fmt: skip
    write_weights(tmp_path / "model.safetensors", a=("F32", [1.0]))
    assert a_check("base model", endpoint, str(tmp_path)).ok


@pytest.mark.parametrize(("method", "n_models"), [("lora", 4), ("full", 6)])
def test_too_little_disk_space_for_models_is_reported(tmp_path: Path, method: str, n_models: int) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(10**6))
    given = {"name": "test", "base_model": str(tmp_path), "finetune": {"method": method}}
    recipe = Recipe.model_validate(given)
    for size, ok in ((n_models * 10**6, True), (n_models * 10**6 - 1, False)):
        check = doctor._room_for_models(recipe, str(tmp_path / "lake"), free_gb=lambda _, gb=size / 1e9: (tmp_path, gb))
        assert check.ok == ok


@pytest.mark.spark
def test_executors_run_this_python_and_write_to_the_lake(spark, tmp_path: Path) -> None:
    assert doctor._executors(spark).detail == f"{sys.version.split()[0]} at {sys.executable}"
    assert doctor._writable(spark, str(tmp_path / "lake")).ok
    assert list((tmp_path / "lake").glob("_humpback*")) == []


@pytest.mark.spark
def test_an_unwritable_lake_is_reported(spark) -> None:
    check = doctor._attempt("lake writable", lambda: doctor._writable(spark, "/proc/lake"), "choose another")
    assert (check.ok, check.advice) == (False, "choose another")
    assert "/proc/lake" in check.detail
