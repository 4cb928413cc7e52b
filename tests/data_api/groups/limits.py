"""Requests beyond a limit of OPA, or near one."""

import gzip

from .rows import T, get, post

YAML = "Content-Type: application/yaml"


def requests():
    for depth in (1000, 5000, 9998, 9999, 10000, 10001, 20000):
        yield post(T + "/has_input", '{"input":%s%s}' % ("[" * depth, "]" * depth))
        yield post(T + "/echo", '{"input":%s%s}' % ("[" * depth, "]" * depth))
        yield post(T + "/has_input", '{"input":%s1%s}' % ('{"a":' * depth, "}" * depth))
        yield get(T + "/has_input?input=" + "[" * depth + "]" * depth)
        yield post(T + "/has_input", "input: " + "[" * depth + "]" * depth, YAML)
    yield post(T + "/echo", None, "Content-Length: 268435457")
    yield post(T + "/has_input", gzip.compress(b'{"input":"' + b"a" * (600 << 20) + b'"}', 1, mtime=0), "Content-Encoding: gzip")
    for size in (1 << 20, 8 << 20):
        yield post(T + "/has_input", '{"input":"%s"}' % ("a" * size))
    for length in (20_000, 100_000, 1_000_000, 1_100_000):
        yield get("/v1/data/" + "a" * length)
    yield get(T + "/number?" + "a" * 20_000)
    yield get(T + "/number", "X: " + "a" * 20_000)
    yield post(T + "/big", '{"input":{"lines":20000}}')
    yield post(T + "/echo", '{"input":1e100000}')
    yield post(T + "/echo", '{"input":%s}' % ("9" * 10_000))
    yield post(T + "/type_error", '{"input":{"left":1e1000,"right":1}}')
