"""A server that humpback starts ends with the process that started it, however that ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import ServerError, VllmServer

ROOT = Path(__file__).parent.parent.parent
RUN = """
import sys
from pathlib import Path
from model_ops.serving.settings import ServerSettings
from model_ops.serving.vllm_server import VllmServer

SERVER = '''
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[1])), Healthy).serve_forever()
'''
server = VllmServer("model", "m", ServerSettings(port={port}, max_num_seqs=1), Path("{log}"))
server.command = lambda: [sys.executable, "-c", SERVER, "{port}"]
server.start()
print(server._process.pid, flush=True)
try:
    sys.stdin.read()
finally:
    server.stop()
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, None], ids=["killed", "interrupted", "at its end"])
def test_no_server_outlives_its_run(tmp_path: Path, end: signal.Signals | None) -> None:
    code = RUN.format(port=18433, log=tmp_path / "log")
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        server = int(run.stdout.readline())
        assert is_running(server)
        if end:
            os.kill(run.pid, end)
        run.communicate()
    deadline = time.monotonic() + 30
    while is_running(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(server)


class Importing(VllmServer):
    """A server that has not bound its port yet."""

    def command(self) -> list[str]:
        return [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_second_server_on_the_same_port_fails_at_once(tmp_path: Path) -> None:
    one, other = (Importing("model", "m", ServerSettings(port=18434, max_num_seqs=1), tmp_path / n) for n in "ab")
    try:
        one.launch()
        with pytest.raises(
            ServerError, match=r"port 18434 on 127\.0\.0\.1 is taken \(another run of humpback .*serving\.port"
        ):
            other.launch()
        assert one.alive
        assert not other.alive
        one.stop()
        other.launch()
        assert other.alive
    finally:
        one.stop()
        other.stop()


def test_a_port_of_another_program_is_not_used(tmp_path: Path) -> None:
    server = Importing("model", "m", ServerSettings(port=18434, max_num_seqs=1), tmp_path / "log")
    with socket.create_server(("127.0.0.1", 18434)):
        with pytest.raises(ServerError, match=r"port 18434 on 127\.0\.0\.1 is taken \(Address already in use\)"):
            server.launch()
        assert not server.alive
    server.launch()
    assert server.alive
    server.stop()
