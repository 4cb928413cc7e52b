"""Requests that are odd as HTTP, in exact bytes. {base} is the base path."""

from .rows import raw

PATH = b"{base}/v1/data/tenants/t"
CLOSE = b"Host: localhost\r\nConnection: close\r\n"
LONG = b"a" * 6000

TEXTS = (
    b"GET %s/number HTTP/1.0\r\n\r\n" % PATH,
    b"GET %s/number HTTP/1.0\r\nHost: x\r\n\r\n" % PATH,
    b"POST %s/echo HTTP/1.0\r\nContent-Length: 11\r\n\r\n{\"input\":1}" % PATH,
    b"GET http://localhost%s/number HTTP/1.1\r\n%s\r\n" % (PATH, CLOSE),
    b"GET %s/number HTTP/1.1\r\nConnection: close\r\n\r\n" % PATH,
    b"GET %s/number HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (PATH, CLOSE),
    b"GET %s/a b HTTP/1.1\r\n%s\r\n" % (PATH, CLOSE),
    b"GET %s/number HTTP/2.0\r\n%s\r\n" % (PATH, CLOSE),
    b"GET %s/number HTTP/1.1\r\nX: %s\r\n%s\r\n" % (PATH, LONG, CLOSE),
    b"GET %s/number HTTP/1.1\r\nX Y: z\r\n%s\r\n" % (PATH, CLOSE),
    b"GET %s/number HTTP/1.1\r\nNo colon\r\n%s\r\n" % (PATH, CLOSE),
    b"GET %s/number HTTP/1.1\r\nX: \x00\r\n%s\r\n" % (PATH, CLOSE),
    b"GET %s/number\r\n\r\n" % PATH,
    b"\r\n\r\nGET %s/number HTTP/1.1\r\n%s\r\n" % (PATH, CLOSE),
    b"GET %s/number HTTP/1.1\n%s\n" % (PATH, CLOSE.replace(b"\r", b"")),
    b"POST %s/echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n%s\r\nabcd" % (PATH, CLOSE),
    b"POST %s/echo HTTP/1.1\r\nContent-Length: 11\r\nContent-Length: 11\r\n%s\r\n{\"input\":1}" % (PATH, CLOSE),
    b"POST %s/echo HTTP/1.1\r\nContent-Length: x\r\n%s\r\nabcd" % (PATH, CLOSE),
    b"POST %s/echo HTTP/1.1\r\nContent-Length: -1\r\n%s\r\nabcd" % (PATH, CLOSE),
    b"POST %s/echo HTTP/1.1\r\nTransfer-Encoding: gzip\r\n%s\r\nabcd" % (PATH, CLOSE),
    b"POST %s/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n%s\r\nx\r\n{\"input\":1}\r\n0\r\n\r\n" % (PATH, CLOSE),
    b"POST %s/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n%s\r\nb\r\n{\"input\":1}\r\n0\r\n\r\n" % (PATH, CLOSE),
    b"POST %s/echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n%s\r\n" % (PATH, CLOSE),
    b"POST %s/echo HTTP/1.1\r\nExpect: something\r\nContent-Length: 11\r\n%s\r\n{\"input\":1}" % (PATH, CLOSE),
    # The second request of a connection is answered too.
    b"POST %s/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n%s\r\n{\"input\":1}" % (PATH, CLOSE.replace(b"Host: localhost\r\n", b"")),
)


def requests():
    for text in TEXTS:
        yield raw(text)
