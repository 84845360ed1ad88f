"""A file server on 127.0.0.1 that misbehaves on demand."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """Serves `content` at every path, with byte ranges as RFC 9110 wants them, and records the headers of requests."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.headers = {"ETag": '"first"', "Content-Type": "application/zip"}
        self.ranges = True  # False: every answer is the whole file
        self.lengths = True  # False: no Content-Length
        self.cuts: list[int] = []  # bytes after which the connection breaks, one a request
        self.statuses: list[int] = []  # to answer instead, one a request
        self.requests: list[dict[str, str]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/fold_1.zip"

    @property
    def ranges_asked(self) -> list[str | None]:
        """The Range header of each request."""
        return [request.get("Range") for request in self.requests]

    def stop(self) -> None:
        """End the server and its thread."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append(dict(self.headers))
            if server.statuses:
                self.send_error(server.statuses.pop(0))
                return
            start, total = self.first_byte(), len(server.content)
            body = server.content[start:]
            self.send_response(200 if start is None else 206 if body else 416)
            for name, value in server.headers.items():
                self.send_header(name, value)
            if start is not None:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}" if body else f"bytes */{total}")
            if server.lengths:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)

        def first_byte(self) -> int | None:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            condition = self.headers.get("If-Range")
            same = condition is None or condition in {server.headers.get(n) for n in ("ETag", "Last-Modified")}
            return int(asked.group(1)) if asked and server.ranges and same else None

        def log_message(self, *_: object) -> None:
            pass

    return Handler
