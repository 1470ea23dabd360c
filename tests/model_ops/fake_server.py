"""A loopback HTTP server with the part of vLLM's API that the client needs, and with faults on demand."""

import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], Any]
Script = Callable[[str, dict[str, Any] | None, int], Reply]
"""(path, body, number of earlier requests) -> (status, headers, JSON); status `RESET` closes without a reply."""
RESET = 0


@contextmanager
def serving(script: Script, port: int = 0, key: str | None = None) -> Iterator[str]:
    """Run a server that answers by `script`, and with 401 to clients without `key` if it is set; yield its base URL."""
    count, lock = [0], threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps connections open, as vLLM does
        timeout = 60

        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            with lock:
                number, count[0] = count[0], count[0] + 1
            is_known = key is None or self.headers.get("Authorization") == f"Bearer {key}"
            status, headers, reply = (
                script(self.path, body, number) if is_known else (401, {}, {"error": "who are you?"})
            )
            if status == RESET:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return
            content = json.dumps(reply).encode() if not isinstance(reply, bytes) else reply
            self.send_response(status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(content))} | headers
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = int(headers["Content-Length"]) != len(content)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    server = _Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing if a client closes the connection first."""


def completion(text: Any = "Fine.", finish: str = "stop", **choice: Any) -> Reply:
    """Return a completion in vLLM's format."""
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    return 200, {}, {"choices": [{"text": text, "finish_reason": finish, **choice}], "usage": usage}


def faulty(sound: Callable[[dict[str, Any]], Reply], share: float, hangs_for: float) -> Script:
    """Return the script of a proxy before a `sound` server that replaces a random `share` of replies with `FAULTS`."""
    rng, lock = random.Random(7), threading.Lock()

    def script(path: str, body: dict[str, Any] | None, number: int) -> Reply:
        assert body is not None
        with lock:
            fault = rng.choice(FAULTS) if rng.random() < share else None
        if isinstance(fault, str):  # "hang"
            time.sleep(hangs_for)
            return RESET, {}, None
        return fault or sound(body)

    return script


FAULTS: list[Reply | str] = [
    (500, {}, {"error": "oops"}),
    (502, {"Content-Type": "text/html"}, b"<html>Bad gateway</html>"),
    (503, {}, {}),
    (429, {"Retry-After": "1"}, {}),
    (RESET, {}, None),
    "hang",
    (200, {}, b'{"choices": [{"text": "Fi'),
    (200, {"Content-Length": "500"}, b'{"choices": [{"text": "Fi'),
    completion(""),
    (200, {}, {"choices": [{"text": 7, "finish_reason": "stop"}], "usage": {}}),
]
