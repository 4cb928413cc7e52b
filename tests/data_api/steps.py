"""The steps of single differences: which requests they are about, and how they are taken out."""

import re
from dataclasses import replace
from decimal import Decimal

from unordered import TOKEN

NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
VERSION = rb"[0-9]+\.[0-9]+\.[0-9]+"
# The limits of ours that the requests reach.
MAX_DEPTH = 512
MAX_DIGITS = 4096
MAX_BODY_BYTES = 1 << 20
MAX_TARGET_BYTES = 65534
MAX_MESSAGE_BYTES = 16384


# Whether a request is about what ours answers.


def escapes_needed(exchange):
    """A byte stands in the target that RFC 3986 wants escaped."""
    return re.search(rb'["<>\\^`{|}\x80-\xff]', exchange.target()) is not None


def not_in_allow(exchange):
    return exchange.request.method not in exchange.ours["Allow"].split(", ")


def numbers(exchange):
    return [number.decode() for number in NUMBER.findall(exchange.sent())]


def too_large(exchange):
    return any(abs(float(number)) == float("inf") for number in numbers(exchange))


def too_small(exchange):
    return any(0 < abs(Decimal(number)) < Decimal("2.2250738585072014e-308") for number in numbers(exchange))


def too_exact(exchange):
    return any(len(number.lower().partition("e")[0].lstrip("-0.").replace(".", "")) > 17 for number in numbers(exchange))


def too_long(exchange):
    return any(len(number) > MAX_DIGITS for number in numbers(exchange))


def too_deep(exchange):
    depth = deepest = 0
    for byte in exchange.sent():
        depth += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, depth)
    return deepest > MAX_DEPTH


def too_much(exchange):
    length = [int(header.partition(":")[2]) for header in exchange.request.headers if header.startswith("Content-Length:")]
    return max(length + [len(exchange.sent())]) > MAX_BODY_BYTES


def long_target(exchange):
    return len(exchange.target()) > MAX_TARGET_BYTES


def other_encoding(exchange):
    values = [header.partition(":")[2].strip().lower() for header in exchange.request.headers if header.lower().startswith("content-encoding")]
    return len(values) > 1 or values[0] not in ("gzip", "identity")


def redirected(exchange):
    return exchange.opa.get("status") in (301, 307)


# Requests that OPA answers as ours answers the one that was sent.


def document(request):
    """The document that a path names: empty segments are left out, and dots are keys. Go forgets
    the escapes of a path that has other bytes than ASCII as they are."""
    path, mark, query = request.path.partition(b"?")
    path = re.sub(rb"^/+(v[01])/+", rb"/\1/", path)
    endpoint = re.fullmatch(rb"/*(health|v1/query)/+", path)
    if endpoint:
        return replace(request, path=b"/" + endpoint[1] + mark + query)
    found = re.fullmatch(rb"(/v[01]/data|/v1/policies)((?:/[^/]*)*)", path)
    if not found:
        return None
    segments = [re.sub(rb"^\.\.?$", lambda dots: dots[0].replace(b".", b"%2E"), segment) for segment in found[2].split(b"/") if segment]
    escaped = re.sub(rb"[\x80-\xff]", lambda byte: b"%%%02X" % byte[0][0], b"/".join([found[1], *segments]))
    return replace(request, path=escaped + mark + query)


def single_slashes(request):
    path, mark, query = request.path.partition(b"?")
    return replace(request, path=re.sub(b"/+", b"/", path) + mark + query)


def small_encoding(request):
    headers = tuple(re.sub("^Content-Encoding: gzip$", "Content-Encoding: gzip", header, flags=re.IGNORECASE) for header in request.headers)
    return replace(request, headers=headers)


def without_fragment(request):
    return replace(request, path=request.path.partition(b"#")[0]) if request.raw is None else None


def percent_as_itself(request):
    path, mark, query = request.path.partition(b"?")
    return replace(request, path=re.sub(rb"%(?![0-9a-fA-F]{2})", b"%25", path) + mark + query) if request.raw is None else None


def exact_input(request):
    return replace(request, body=b'{"input":1}') if request.body == b'{"input":1,"INPUT":2}' else None


def without_empty_lines(request):
    return replace(request, raw=request.raw.lstrip()) if request.raw else None


def without_expectation(request):
    return replace(request, raw=request.raw.replace(b"Expect: something\r\n", b"")) if request.raw else None


def opa_refuses(exchange):
    return exchange.opa.get("status") in (400, 417) and exchange.ours.get("status") not in (400, 417)


# Steps that look at both answers.


def slashes_of_keys(exchange):
    """OPA is asked with `~` instead of the escaped slashes, which it takes for a key in the same way."""
    path, mark, query = exchange.request.path.partition(b"?")
    if not redirected(exchange) or not re.fullmatch(rb"/v1/data/.*%2F/*", path, re.IGNORECASE | re.DOTALL):
        return exchange
    asked = document(replace(exchange.request, path=re.sub(b"%2F", b"~", path, flags=re.IGNORECASE) + mark + query))
    answer = exchange.ask_opa(asked)
    return exchange.with_opa(**answer | {"body": answer["body"].replace(b"~", b"/")})


def same_numbers(same):
    """Takes numbers of ours where `same` says that they are the ones of OPA, in another text."""

    def step(exchange):
        pair = exchange.bodies()
        if not pair:
            return exchange
        found = [list(TOKEN.finditer(body)) for body in pair]
        if len(found[0]) != len(found[1]):
            return exchange
        body, end = b"", 0
        for theirs, other in zip(*found):
            if NUMBER.fullmatch(theirs[1]) and NUMBER.fullmatch(other[1]) and same(theirs[1].decode(), other[1].decode()):
                body += pair[0][end : theirs.start(1)] + other[1]
                end = theirs.end(1)
        return exchange.with_opa(body=body + pair[0][end:])

    return step


def equal_decimals(theirs, other):
    return Decimal(theirs) == Decimal(other)


def nearest_double(theirs, other):
    """OPA's text has more digits than a double, and ours is the double."""
    return "." in theirs and len(theirs.lstrip("-0.")) > 17 and repr(float(theirs)) == other


def provenance(exchange):
    pair = exchange.bodies()
    if not pair:
        return exchange
    pattern = rb'("provenance": ?\{\s*"version": ?")%s(".*?"bundles": ?\{\s*")%s(": ?\{\s*"revision": ?")%s("\s*\}\s*\})'
    theirs = re.search(pattern % (rb"[0-9.]+", rb"\.", b""), pair[0], re.DOTALL)
    other = re.search(pattern % (rb"(%s)" % VERSION, b"(t)", b"([0-9a-f]{64})"), pair[1], re.DOTALL)
    if not theirs or not other:
        return exchange
    told = theirs[1] + other[2] + theirs[2] + other[4] + theirs[3] + other[6] + theirs[4]
    return exchange.with_opa(body=pair[0].replace(theirs[0], told))


def lines_of_ours(exchange):
    """Removes `line` from errors of ours where it is the line of the query, and OPA's have none."""
    theirs, other = exchange.bodies() or (b"", b"")
    if not theirs or b'"line"' in theirs:
        return exchange
    asked = exchange.sent()

    def without(found):
        line = found[1].replace(rb"\"", b'"').replace(rb"\\", b"\\")
        return b"" if line in asked or line in asked.replace(rb"\"", b'"') else found[0]

    return exchange.with_ours(body=re.sub(rb',\s*"line": ?"((?:[^"\\]|\\.)*)"', without, other))


def help_of_ours(exchange):
    theirs, other = exchange.bodies() or (b"", b"")
    if not theirs or b'"help"' in theirs:
        return exchange
    return exchange.with_ours(body=re.sub(rb'(?<=[}"]),\s*"help": ?"(?:[^"\\]|\\.)*"', b"", other))


def labels(exchange):
    theirs, other = exchange.bodies() or (b"", b"")
    version = re.search(rb'"version": ?"(%s)"' % VERSION, other)
    if not exchange.target().startswith(b"/v1/config") or not version:
        return exchange
    pattern = rb'("labels": ?\{\s*"id": ?")an-id(",\s*"version": ?")[0-9.]+(")'
    return exchange.with_opa(body=re.sub(pattern, rb"\g<1>t\g<2>" + version[1] + rb"\g<3>", theirs))


def compile_metric(exchange):
    theirs, other = exchange.bodies() or (b"", b"")
    if b"timer_rego_query_compile_ns" in other:
        return exchange
    return exchange.with_opa(body=re.sub(rb'"timer_rego_query_compile_ns": ?0,\s*', b"", theirs)) if theirs else exchange


def cut_message(exchange):
    theirs, other = exchange.bodies() or (b"", b"")
    beginning, cut, rest = other.partition(b'"\n}\n')
    whole = cut and not rest and len(beginning) >= MAX_MESSAGE_BYTES and theirs.startswith(beginning)
    return exchange.take(["body"]) if whole else exchange
