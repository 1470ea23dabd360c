"""A real Spark cluster of one master and two workers, with a separate driver; each is one process."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest
from deltalake import DeltaTable

from jobs.lake.session import DELTA, NOT_DELTA
from jobs.recipe.config import Recipe
from schemas.silver import UNLABELLED
from tests.jvm import QUICK
from tests.pages import write_warc
from tests.planted import plant, plant_model
from tests.tiny_model import save_model

pytestmark = [pytest.mark.spark, pytest.mark.model]
PORT = 18435  # of the first server
ROOT = Path(__file__).parent.parent.parent
BIN = Path(pyspark.__file__).parent / "bin"
# Python runs this at its start, so that neither the driver nor any process of the cluster can import the sources.
NO_SOURCES = "import os, sys\nsys.path[:] = [p for p in sys.path if not os.path.isdir(os.path.join(p, 'model_ops'))]\n"
RECIPE = """
name = "test"
base_model = "{folder}/base"
[ingest_documents]
paths = ["{folder}/*.warc.gz"]
[serving]
executors = 2
port = {port}
eager = true
max_model_len = 256
kv_cache_gb = 1
[inference]
partitions = 8
rows_per_wave = 8
[generate_candidates]
max_tokens = 8
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a machine where humpback's requirements are installed, but not humpback."""
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "sitecustomize.py").write_text(NO_SOURCES)
    return os.environ | {
        "PYTHONPATH": str(tmp_path / "start"), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(tmp_path / "spark"), "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": QUICK, "SPARK_WORKER_OPTS": _one_gpu_each(tmp_path),
    }  # fmt: skip


def _one_gpu_each(folder: Path) -> str:
    """Return the options that make each worker declare one GPU, real or not; vLLM finds none and uses the CPU."""
    script = folder / "gpus.sh"
    script.write_text("""echo '{"name": "gpu", "addresses": ["0"]}'""")
    script.chmod(0o755)
    gpu = "-Dspark.worker.resource.gpu"
    return f"{gpu}.amount=1 {gpu}.discoveryScript={script}"


@pytest.fixture
def master(tmp_path: Path, environment: dict[str, str]) -> Iterator[str]:
    """Start a cluster of two workers with two cores each, one for a server and one for requests; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    url = f"spark://127.0.0.1:{port}"
    deploy = "org.apache.spark.deploy"
    commands = [[f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", port, "--webui-port", "0"]] + [
        [f"{deploy}.worker.Worker", "--cores", "2", "--memory", "1g", "--webui-port", "0",
         "--work-dir", str(tmp_path / f"worker-{n}"), url] for n in range(2)
    ]  # fmt: skip
    processes = []
    try:
        for n, command in enumerate(commands):
            with (tmp_path / f"daemon-{n}.log").open("wb") as log:
                processes.append(subprocess.Popen([str(BIN / "spark-class"), *command], env=environment, stderr=log))
        deadline = time.monotonic() + 60
        while (tmp_path / "daemon-0.log").read_text().count("Registering worker") < 2:
            assert time.monotonic() < deadline, (tmp_path / "daemon-0.log").read_text()
            time.sleep(0.2)
        yield url
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    uv = shutil.which("uv") or str(ROOT / ".cache/uv/bin/uv")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path / "dist")], cwd=ROOT, check=True)
    (file,) = (tmp_path / "dist").glob("*.whl")
    return file


def test_both_kinds_of_job_run_from_the_wheel_alone_with_servers_on_the_executors(
    tmp_path: Path, wheel: Path, master: str, environment: dict[str, str]
) -> None:
    write_warc(tmp_path / "crawl.warc.gz", n_pages=12)
    _with_backward_model(tmp_path)
    settings = {
        "spark.jars.packages": DELTA, "spark.jars.excludes": NOT_DELTA,
        "spark.executor.memory": "512m", "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "1", "spark.ui.enabled": "false",
        "spark.executorEnv.PYTHONPATH": environment["PYTHONPATH"], "spark.driver.extraJavaOptions": QUICK,
        "spark.executor.extraJavaOptions": QUICK, "spark.sql.codegen.wholeStage": "false",
        "spark.executor.resource.gpu.amount": "1", "spark.checkpoint.dir": str(tmp_path / "checkpoints"),
    }  # fmt: skip
    submit = [str(BIN / "spark-submit"), "--master", master, "--py-files", str(wheel)]
    submit += [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    for job, n in {"ingest-documents": 12, "generate-candidates": 20}.items():
        options = [job, "--recipe", str(tmp_path / "recipe.toml"), "--lake", str(tmp_path / "lake"), "--json"]
        command = [*submit, str(ROOT / "deploy" / "humpback_main.py"), *options]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:]  # where spark-submit puts both
        run = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
        assert (run["job"], run["n_in"]) == (job, n)
    assert [*tmp_path.glob("checkpoints/*/rdd-*/part-*")], "materialised rows outlive the executor that made them"
    executors = {folder.parent.parent.name for folder in tmp_path.glob("worker-*/app-*/[0-9]*")}
    assert executors == {"worker-0", "worker-1"}
    answers = DeltaTable(str(tmp_path / "lake/bronze/completions")).to_pyarrow_table().to_pylist()
    assert len({answer["subject_id"] for answer in answers if answer["status"] != "failed"}) == 20
    assert {answer["endpoint"] for answer in answers} == {f"http://127.0.0.1:{PORT + n}/v1" for n in range(2)}
    for n in range(2):  # nothing is left running
        socket.create_server(("127.0.0.1", PORT + n)).close()


def _with_backward_model(folder: Path) -> None:
    """Write a recipe, and a lake with a drawn pool and a trained M_yx."""
    save_model(folder / "base")
    (folder / "recipe.toml").write_text(RECIPE.format(folder=folder, port=PORT))
    recipe, lake = Recipe(name="test", base_model=str(folder / "base")), folder / "lake"
    plant(lake, UNLABELLED, [
        {"method_digest": "m", "segment_id": f"{n:064}", "document_id": "d", "url": "https://example.org/", "position": n,
         "header": "Care", "header_level": 2, "header_path": [], "text": f"How to care for it {n}.", "n_chars": 20,
         "language": "en", "language_score": 1.0, "replaced": {}, "experiment": "test", "sample_hash": f"{n:064}"} for n in range(20)
    ])  # fmt: skip
    plant_model(lake, recipe, "backward", 0)
