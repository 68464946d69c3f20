"""An S3 server on the loopback that keeps a log of the requests it has had."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

OPTIONS_KEY = {"key": "testing", "secret": "testing"}


@dataclass
class RequestLog:
    """Requests since the last `clear`."""

    methods: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    received: int = 0  # bytes of bodies sent to the client
    endpoint: str = ""
    fail_at: int = -1  # number of the request since the last `clear` that is refused

    def clear(self) -> None:
        """Forget what was logged."""
        self.methods.clear()
        self.ranges.clear()
        self.received = 0

    @property
    def storage_options(self) -> dict[str, Any]:
        """Return what s3fs needs to reach the server, past its own caches."""
        return {**OPTIONS_KEY, "client_kwargs": {"endpoint_url": self.endpoint}}

    def __str__(self) -> str:
        kinds = {method: self.methods.count(method) for method in dict.fromkeys(self.methods)}
        return " + ".join(f"{count} {method}" for method, count in kinds.items()) or "none"


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
        refused = len(log.methods) == log.fail_at
        log.methods.append(environ["REQUEST_METHOD"])
        log.ranges.append(environ.get("HTTP_RANGE", ""))

        if refused:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code><Message>refused</Message></Error>"]

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if environ["REQUEST_METHOD"] != "HEAD":
                sizes = {name.lower(): value for name, value in headers}
                log.received += int(sizes.get("content-length", 0))
            return start_response(status, headers, *rest)

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
