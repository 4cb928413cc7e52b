"""Random requests from a seed: inputs, paths, parameters, and bodies with a mistake in them."""

import gzip
import json
import random

from . import bodies, paths
from .rows import T, V0, get, post

WORDS = ("a", "b", "role", "subject", "admin", "reader", "read", "é", "😀", "<&>", "", " ", "0", "1", "-1", "01", "\u2028", '"', "\\", "/", "n", "members", "pairs", "x" * 50)
NUMBERS = ("0", "-0", "1", "-1", "1.0", "1.50", "1e2", "1E-2", "1e400", "0.1", "9007199254740993", "123456789012345678901234567890", "3")
RULES = "allow redact echo has_input partial_set partial_object deep comprehensions decision base whole_input_size negated every_one else_chain".split()
MUTATIONS = b'{}[]":,\\0129eE+-. \n\t\x00\x1f\x7f\xc3\xff/tfn'
SEGMENTS = (
    "object", "list", "scalars", "tenants", "t", "array", "set", "number", "echo", "eu", "region", "deep", "one", "two", "a", "b", "0", "1", "-1", "01", "1.0", ".0", "+1", "2.5",
    "%2F", "%2f", "%20", "+", "%2B", "%25", "%22", "%00", "%ff", "%C3%BC", "ü", "%2E", "%5B0%5D", "true", "null", "", ".", "..", "with%2Fslash", "a%20package", "%F0%9F%98%80",
)  # fmt: skip
PARAMETERS = (
    "pretty", "pretty=true", "pretty=false", "metrics", "provenance", "strict-builtin-errors", "explain=off", "input=1", 'input={"a":[1]}', "input=x", "input=", "nope=1", "a;b", "%zz", "",
)  # fmt: skip


def text(chance):
    return "".join(chance.choice(WORDS) for _ in range(chance.randint(0, 3)))


def value(chance, depth=0):
    """A random JSON text: numbers as they are written, keys that come twice."""
    kind = chance.randint(0, 6 if depth < 4 else 3)
    if kind == 0:
        return chance.choice(("null", "true", "false"))
    if kind == 1:
        return chance.choice(NUMBERS)
    if kind <= 3:
        return json.dumps(text(chance), ensure_ascii=chance.random() < 0.5)
    items = [value(chance, depth + 1) for _ in range(chance.randint(0, 4))]
    if kind == 4:
        return "[" + ",".join(items) + "]"
    return "{" + ",".join(f"{json.dumps(text(chance), ensure_ascii=False)}:{item}" for item in items) + "}"


def mutated(chance, body):
    body = bytearray(body.encode())
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(body) + 1)
        change = chance.randint(0, 2)
        if change == 0:
            body.insert(at, chance.choice(MUTATIONS))
        elif change == 1:
            del body[at : at + chance.randint(1, 4)]
        elif at < len(body):
            body[at] = chance.choice(MUTATIONS)
    return bytes(body)


def parameters(chance):
    chosen = [chance.choice(PARAMETERS) for _ in range(chance.choice((0, 0, 1, 2, 3)))]
    return "?" + "&".join(chosen) if chosen else ""


def one(chance):
    kind = chance.randint(0, 7)
    rule = chance.choice(RULES)
    body = '{"input":%s}' % value(chance)
    if kind == 0:
        return post(f"{T}/{rule}{parameters(chance)}", body)
    if kind == 1:
        return post(f"{T}/echo", mutated(chance, body))
    if kind == 2:
        return post(f"{V0}/{rule}", value(chance))
    if kind == 3:
        return get("/v1/data/" + "/".join(chance.choice(SEGMENTS) for _ in range(chance.randint(1, 5))) + parameters(chance))
    if kind == 4:
        return get(f"{T}/" + "/".join(chance.choice(SEGMENTS) for _ in range(chance.randint(1, 3))) + parameters(chance))
    if kind == 5:
        return get(f"{T}/{chance.choice(paths.RULES)}{parameters(chance)}")
    if kind == 6:
        packed = gzip.compress(body.encode(), mtime=0)
        return post(f"{T}/echo", packed if chance.random() < 0.5 else mutated_bytes(chance, packed), "Content-Encoding: gzip", "Accept-Encoding: gzip")
    return post(f"{T}/{chance.choice(paths.RULES)}", chance.choice(bodies.NO_INPUT + bodies.KEYS + [body]))


def mutated_bytes(chance, body):
    at = chance.randrange(len(body))
    return body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]


def requests(seed, count):
    chance = random.Random(seed)
    for _ in range(count):
        yield one(chance)
