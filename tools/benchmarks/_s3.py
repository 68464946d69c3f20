"""An S3 server on the loopback that keeps a log of the requests it has had."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

Answer = tuple[str, dict[str, str], bytes]

OPTIONS_KEY = {"key": "testing", "secret": "testing"}


@dataclass
class RequestLog:
    """Requests since the last `clear`."""

    methods: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    received: int = 0  # bytes of bodies sent to the client
    sent: int = 0  # bytes of bodies that the client has sent
    endpoint: str = ""
    fail_at: int = -1  # number of the request since the last `clear` that fails
    # How: refuse (403), error (500), cut (the connection ends before anything is done), or lose (it
    # ends when all is done, before the answer).
    fail_how: str = "refuse"
    delay: float = 0  # seconds before each answer
    # Makes another answer of that to a GET: status, headers, body.
    lie: Callable[[str, dict[str, str], bytes], Answer] | None = None
    on_request: Callable[[str, str], object] | None = None  # gets method and path

    def clear(self) -> None:
        """Forget what was logged."""
        self.methods.clear()
        self.ranges.clear()
        self.received = self.sent = 0

    @property
    def storage_options(self) -> dict[str, Any]:
        """Return what s3fs needs to reach the server, past its own caches."""
        return {**OPTIONS_KEY, "client_kwargs": {"endpoint_url": self.endpoint}}

    def __str__(self) -> str:
        kinds = {method: self.methods.count(method) for method in dict.fromkeys(self.methods)}
        return " + ".join(f"{count} {method}" for method, count in kinds.items()) or "none"


ANSWERS = {
    "refuse": ("403 Forbidden", "AccessDenied"),
    "error": ("500 Internal Server Error", "InternalError"),
}


def answer(kind: tuple[str, str], start_response: Any) -> Iterable[bytes]:
    """Answer with a status and an error code of S3."""
    status, code = kind
    start_response(status, [("Content-Type", "application/xml")])
    return [f"<Error><Code>{code}</Code><Message>refused</Message></Error>".encode()]


def cut(environ: dict[str, Any]) -> Iterable[bytes]:
    """End the connection without an answer."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return []


def holds(environ: dict[str, Any], backend: Any) -> bool:
    """Whether a condition holds that S3 knows and moto passes over.

    That is If-Match where an upload is completed or a part is copied.
    """
    method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
    path = environ["PATH_INFO"]
    wanted: str | None = None
    if method == "POST" and "uploadId" in query:
        wanted = environ.get("HTTP_IF_MATCH")
    elif method == "PUT" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        wanted = environ.get("HTTP_X_AMZ_COPY_SOURCE_IF_MATCH")
        path = "/" + unquote(environ["HTTP_X_AMZ_COPY_SOURCE"]).lstrip("/").split("?")[0]
    if wanted is None:
        return True
    found: dict[str, str] = {}

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        found.update((name.lower(), value) for name, value in headers)
        return lambda data: None

    look = {key: value for key, value in environ.items() if "IF_MATCH" not in key}
    look |= {"REQUEST_METHOD": "HEAD", "PATH_INFO": path, "QUERY_STRING": ""}
    look |= {"CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO()}
    look.pop("HTTP_X_AMZ_COPY_SOURCE", None)
    for _ in backend(look, start):
        pass
    return found.get("etag", "") == wanted


def lied(
    lie: Callable[[str, dict[str, str], bytes], Answer],
    environ: dict[str, Any],
    backend: Any,
    start_response: Any,
) -> Iterable[bytes]:
    """Answer with what `lie` makes of the true answer."""
    true: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        true.extend((status, {name.lower(): value for name, value in headers}))
        return lambda data: None

    body = b"".join(backend(environ, start))
    status, headers, body = lie(true[0], true[1], body)
    start_response(status, list(headers.items()))
    return [body]


@contextmanager
def s3_server() -> Iterator[RequestLog]:
    """Serve an empty S3 until the block ends."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    log = RequestLog()
    backend = DomainDispatcherApplication(create_backend_app)

    class Quiet(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
            pass

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if log.on_request is not None:
            log.on_request(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        fails = log.fail_how if len(log.methods) == log.fail_at else ""
        log.methods.append(environ["REQUEST_METHOD"])
        log.ranges.append(environ.get("HTTP_RANGE", ""))
        log.sent += int(environ.get("CONTENT_LENGTH") or 0)
        time.sleep(log.delay)

        if fails in ANSWERS:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return answer(ANSWERS[fails], start_response)
        if fails == "cut":
            return cut(environ)
        if not holds(environ, backend):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return answer(("412 Precondition Failed", "PreconditionFailed"), start_response)
        if fails == "lose":
            for _ in backend(environ, lambda status, headers, *rest: lambda data: None):
                pass
            return cut(environ)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if environ["REQUEST_METHOD"] != "HEAD":
                sizes = {name.lower(): value for name, value in headers}
                log.received += int(sizes.get("content-length", 0))
            return start_response(status, headers, *rest)

        if log.lie is not None and environ["REQUEST_METHOD"] == "GET":
            return lied(log.lie, environ, backend, start)
        return backend(environ, start)  # type: ignore[no-any-return]

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    log.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield log
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
