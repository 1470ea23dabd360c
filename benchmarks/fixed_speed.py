"""A server without a model that needs the same time for every request."""

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.model_ops.fake_server import Reply, completion, serving


@contextmanager
def fixed_speed(seconds: float, at_once: int) -> Iterator[str]:
    """Run a server without a model in a separate process, and yield its endpoint; a request takes `seconds`."""
    receiver, sender = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_serve, args=(sender, seconds, at_once), daemon=True)
    server.start()
    try:
        yield receiver.recv()
    finally:
        server.terminate()


def _serve(connection: Any, seconds: float, at_once: int) -> None:
    places, busy = threading.BoundedSemaphore(at_once), Counter[str]()

    def script(path: str, body: dict[str, Any] | None, number: int) -> Reply:
        if path == "/metrics":
            return 200, {}, b'vllm:num_requests_running{engine="0"} %d\n' % busy["requests"]
        with counting:
            busy["requests"] += 1
        with places:
            time.sleep(seconds)
        with counting:
            busy["requests"] -= 1
        return completion()

    counting = threading.Lock()
    with serving(script) as endpoint:
        connection.send(endpoint)
        threading.Event().wait()
