"""gzip in requests and answers."""

import gzip
import zlib

from .rows import T, V0, get, post

PLAIN = b'{"input":1}'
# No time stamp: the same bytes in every run.
PACKED = gzip.compress(PLAIN, mtime=0)
GZIP = "Content-Encoding: gzip"

REQUESTS = (
    (PACKED, GZIP), (PACKED,), (PACKED, "Content-Encoding: GZIP"), (PACKED, "Content-Encoding: Gzip"), (PACKED, "Content-Encoding: x-gzip"),
    (PACKED, "Content-Encoding: gzip, identity"), (PACKED, "Content-Encoding: identity, gzip"), (PACKED, "content-encoding:gzip"),
    (PACKED, "Content-Encoding: identity", GZIP), (PACKED, GZIP, "Content-Encoding: identity"), (PACKED, "Content-Encoding: notgzipped"),
    (gzip.compress(PACKED, mtime=0), "Content-Encoding: gzip, gzip"), (PLAIN, GZIP), (b"", GZIP), (b"x", GZIP), (b"\x1f", GZIP),
    (PACKED[:-4], GZIP), (PACKED[:-8], GZIP), (PACKED[:12], GZIP), (PACKED[:10], GZIP), (PACKED[:5], GZIP), (PACKED[:-8] + bytes(8), GZIP),
    (PACKED[:-4] + b"\x00\x00\x00\x01", GZIP), (PACKED + b"x", GZIP), (PACKED + bytes(20), GZIP), (PACKED + PACKED, GZIP),
    (PACKED + b"0123456789ab", GZIP), (b"\x1f\x8b\x07" + PACKED[3:], GZIP), (PACKED[:3] + b"\xe0" + PACKED[4:], GZIP),
    (PACKED[:10] + b"\xff" + PACKED[11:], GZIP), (PLAIN, "Content-Encoding: deflate"), (zlib.compress(PLAIN), "Content-Encoding: deflate"),
    (PLAIN, "Content-Encoding: identity"), (PLAIN, "Content-Encoding: br"), (PLAIN, "Content-Encoding: "), (PLAIN, "Content-Encoding: zstd"),
    (gzip.compress(b"", mtime=0), GZIP), (gzip.compress(b"x", mtime=0), GZIP), (gzip.compress(b"{}", mtime=0), GZIP),
    (gzip.compress(b'{"input":"' + b"a" * 200000 + b'"}', mtime=0), GZIP), (gzip.compress(PLAIN + b" x", mtime=0), GZIP),
    (gzip.compress(b"input: [1]", mtime=0), GZIP, "Content-Type: application/yaml"), (b"input: 1", GZIP, "Content-Type: application/yaml"),
)  # fmt: skip

ACCEPTED = (
    "gzip", "*", "gzip;q=0", "gzip; q=0", "gzip;q=0.0", "gzip;q=0.000", "gzip;Q=0", "gzip;q=0.1", "gzip;q=1.0, *;q=0", "gzip;q=2", "gzip;q=-1",
    "gzip;q=abc", "gzip;q=", "gzip;q", "gzip;x=1", "gzip;x=1;q=0", "identity", "identity;q=0", "identity;q=1, gzip;q=0.5", "deflate", "br", "zstd",
    "deflate, gzip", "deflate,gzip,br", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8", "GZIP", "GZip", "x-gzip", "*;q=0", "", " gzip ", "gzip gzip",
    "gzip,gzip;q=0", "gzip;q=0,gzip", "notgzip", "gzip2", ",gzip", "gzip,", ";gzip",
)  # fmt: skip


def answer_of(size):
    """A body whose echo, with a decision id, has about so many bytes."""
    return '{"input":"%s"}' % ("a" * size)


def requests():
    for body, *headers in REQUESTS:
        yield post(T + "/echo", body, *headers)
    for body, *headers in REQUESTS[:1] + REQUESTS[12:25]:
        yield post(V0 + "/echo", body, *headers)
        yield post("/v1/query", body, *headers)
    for accepted in ACCEPTED:
        yield get(T + '/big?input={"lines":60}', f"Accept-Encoding: {accepted}")
        yield get(T + "/number", f"Accept-Encoding: {accepted}")
    yield get(T + '/big?input={"lines":60}', "Accept-Encoding: br", "Accept-Encoding: gzip")
    yield get(T + '/big?input={"lines":60}', "accept-encoding:gzip")
    # {"decision_id":"…","result":"…"} and a newline are 67 bytes around the text.
    for size in (0, 900, 956, 957, 958, 959, 1000, 1021, 1022, 1023, 1024, 2000, 4096, 100000):
        yield post(T + "/echo", answer_of(size), "Accept-Encoding: gzip")
        yield post(V0 + "/echo", answer_of(size), "Accept-Encoding: gzip")
        yield post(T + "/echo", answer_of(size))
    for path in (T + "?pretty", T + '/big?pretty&input={"lines":60}', "/v1/data/%22" + "a" * 3000, "/v1/policies", "/v1/config", "/health", "/v1/dataset", "/v1/data/"):
        yield get(path, "Accept-Encoding: gzip")
    yield post("/v1/query", '{"query":"data.tenants.t.big = x","input":{"lines":60}}', "Accept-Encoding: gzip")
    yield post(T + "/conflict", '{"input":{"conflict":true}}', "Accept-Encoding: gzip")
    yield post(T + "/noted?explain=full", '{"input":{"n":1}}', "Accept-Encoding: gzip")
    # Chunked bodies have no length beforehand.
    chunked = "Transfer-Encoding: chunked"
    for body in (b'b\r\n{"input":1}\r\n0\r\n\r\n', b'5\r\n{"inp\r\n6\r\nut":1}\r\n0\r\n\r\n', b"0\r\n\r\n", b'b;x=y\r\n{"input":1}\r\n0\r\nT: x\r\n\r\n'):
        yield post(T + "/echo", body, chunked)
    yield post(T + "/echo", b"%x\r\n%s\r\n0\r\n\r\n" % (len(PACKED), PACKED), chunked, GZIP)
