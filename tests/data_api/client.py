"""One HTTP request in exact bytes, and its answer. A library for HTTP would repair what is sent."""

import gzip
import socket
import zlib
from dataclasses import dataclass, field

# An answer that takes longer is a failure of the server, not slowness.
TIMEOUT_SECONDS = 60
# Larger answers than this are not expected of any request here.
MAX_ANSWER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """A request of a group. `path` is the target below the base path, in exact bytes."""

    group: str
    method: str
    path: bytes
    headers: tuple = ()
    body: bytes | None = None
    # The whole request instead, with {base} where the base path goes.
    raw: bytes | None = None
    # Whether the base path is left out: the document is asked for through the main root.
    main_root: bool = False

    def name(self):
        if self.raw is not None:
            return repr(self.raw[:120])[1:]
        parts = [self.method, repr(self.path[:160])[2:-1], *self.headers]
        if self.body is not None:
            parts.append(repr(self.body[:120])[1:])
        return " ".join(parts)

    def encode(self, base):
        if self.main_root:
            base = b""
        if self.raw is not None:
            return self.raw.replace(b"{base}", base)
        lines = [self.method.encode() + b" " + base + self.path + b" HTTP/1.1"]
        headers = [header.encode() for header in self.headers]
        given = {header.split(b":")[0].lower() for header in headers}
        headers += [b"Host: localhost", b"Connection: close"]
        if self.body is not None and not given & {b"content-length", b"transfer-encoding"}:
            headers.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join(lines + headers) + b"\r\n\r\n" + (self.body or b"")


@dataclass
class Answer:
    """What came back, with the body decoded, or why nothing did."""

    status: int = 0
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    trouble: str = ""


def ask(address, request, base=b""):
    """Sends the request on a connection of its own and reads the answer to its end."""
    try:
        with socket.create_connection(address, timeout=TIMEOUT_SECONDS) as connection:
            try:
                connection.sendall(request.encode(base))
            except OSError:
                pass  # It may have been refused before it was sent; the answer says so.
            received = b""
            while len(received) < MAX_ANSWER_BYTES:
                try:
                    part = connection.recv(65536)
                except OSError:
                    break
                if not part:
                    break
                received += part
    except OSError as error:
        return Answer(trouble=str(error))
    try:
        return parse(received)
    except (ValueError, IndexError, zlib.error, EOFError) as error:
        return Answer(trouble=f"{error!r} in {received[:200]!r}")


def parse(received):
    """The answer in these bytes, without chunks and compression."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        raise ValueError("no complete head")
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split(" ")[1])
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    headers = {name: ", ".join(values) for name, values in headers.items()}
    if headers.get("transfer-encoding") == "chunked":
        body = unchunk(body)
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return Answer(status, headers, body)


def unchunk(body):
    whole = b""
    while True:
        size, separator, body = body.partition(b"\r\n")
        if not separator:
            raise ValueError("the chunks end too early")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            return whole
        if len(body) < length + 2:
            raise ValueError("the last chunk is cut off")
        whole, body = whole + body[:length], body[length + 2 :]
