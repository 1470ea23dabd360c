"""A loopback HTTP server that speaks as much of vLLM's API as the client needs, with faults to order."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], Any]
Script = Callable[[str, dict[str, Any] | None, int], Reply]
"""(path, body, how many requests came before) -> (status, headers, JSON)."""


@contextmanager
def serving(script: Script) -> Iterator[str]:
    """The base URL of a server that answers by `script` while the body runs."""
    count, lock = [0], threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            with lock:
                number, count[0] = count[0], count[0] + 1
            status, headers, reply = script(self.path, body, number)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(reply).encode() if not isinstance(reply, bytes) else reply)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def completion(text: str = "Fine.", finish: str = "stop", **choice: Any) -> Reply:
    """A completion as vLLM words it."""
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    return 200, {}, {"choices": [{"text": text, "finish_reason": finish, **choice}], "usage": usage}
