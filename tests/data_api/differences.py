"""The differences from OPA that are accepted, each with its reason; docs/data-api.md has them too.

Each is a step that takes exactly one difference out of the two answers (exchange.py). The steps
are taken in this order, and what still differs after the last one fails. A difference that no
request shows any more has to be removed: the suite fails.
"""

import re
from dataclasses import replace
from decimal import Decimal

from exchange import Difference, answers, as_another, opa_body
from unordered import TOKEN

JSON = "application/json"
# The limits of ours that the requests reach.
MAX_DEPTH = 512
MAX_DIGITS = 4096
MAX_BODY_BYTES = 1 << 20
MAX_TARGET_BYTES = 65534
MAX_MESSAGE_BYTES = 16384


def error(code, message):
    """A body of ours: this error and nothing else. `message` is a regular expression."""
    return rf'(\{{\n  "code": "{code}",\n  "message": "{message}"\n\}}\n|indented: \{{"code":"{code}","message":"{message}"\}})'


INVALID = "invalid_parameter"
ENCODING = "the content or transfer encoding is not supported; send the body without encoding, or in gzip"
NO_METHOD = error("invalid_operation", "the resource does not support this method")
NO_RESOURCE = error("resource_not_found", "there is no such resource")
MALFORMED = "(unexpected parse error for input: )?(body|parameter) contains malformed input document: "
LIMIT = ": the limit of a built-in is reached"
GZIP = "could not decompress the body: "


# Whether a request is about what ours answers.


def escapes_needed(exchange):
    """A byte stands in the target that RFC 3986 wants escaped."""
    return re.search(rb'["<>\\^`{|}\x80-\xff]', exchange.target()) is not None


def not_in_allow(exchange):
    return exchange.request.method not in exchange.ours["Allow"].split(", ")


def numbers(exchange):
    return [number.decode() for number in re.findall(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", exchange.sent())]


def too_large(exchange):
    return any(abs(float(number)) == float("inf") for number in numbers(exchange))


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
    """The document that a path names: empty segments are left out, and dots are keys."""
    path, mark, query = request.path.partition(b"?")
    found = re.fullmatch(rb"(/v[01]/data|/v1/policies)((?:/[^/]*)*)", path)
    if not found:
        return None
    segments = [re.sub(rb"^\.\.?$", lambda dots: dots[0].replace(b".", b"%2E"), segment) for segment in found[2].split(b"/") if segment]
    return replace(request, path=b"/".join([found[1], *segments]) + mark + query)


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


# Steps that look at both bodies.


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
            number = re.fullmatch(rb"-?[0-9][0-9.eE+-]*", theirs[1]) and re.fullmatch(rb"-?[0-9][0-9.eE+-]*", other[1])
            if number and theirs[1] != other[1] and same(theirs[1].decode(), other[1].decode()):
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
    other = re.search(pattern % (rb"([0-9]+\.[0-9]+\.[0-9]+)", b"(t)", b"([0-9a-f]{64})"), pair[1], re.DOTALL)
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
    version = re.search(rb'"version": ?"([0-9.]+)"', other)
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


HISTOGRAM = rb'\{(?:\s*"[a-z0-9.%]+": ?0,?)+\s*\}'

ACCEPTED = (
    # Paths.
    as_another("a redirect loses a POST, the parameters, or the escapes: ours answers the document that the path names", document, redirected),
    as_another("an unknown path is told at once: OPA redirects first", single_slashes, lambda exchange: redirected(exchange) and exchange.ours.get("status") == 404),
    answers(
        "names of endpoints have no dots: clients leave them out before they send a path",
        "(GET|POST) /v1/[.]/data/.*",
        {"status": "307"},
        {"status": "404", "Content-Type": JSON, "Location": None, "body": NO_RESOURCE},
    ),
    answers(
        "a slash at the end of a key belongs to the key",
        "(GET|POST) /v1/data/[^?]*%2[Ff]/*([?].*| '.*)?",
        {"status": "301"},
        {
            "status": "200|400|500",
            "Content-Type": JSON,
            "Location": None,
            "body": error(INVALID, MALFORMED + "invalid character 'x' looking for beginning of value")
            + r'|\{\s*"decision_id": ?"an-id"(,"warning":\{"code":"api_usage_warning",[^}]*\})?\s*\}\n|.*rego_type_error: undefined ref: data[^\\]*\[\\"[^"]*/\\"\].*',
        },
    ),
    answers(
        "RFC 3986 wants these bytes escaped in a target: the HTTP library refuses them",
        ".*",
        {},
        {"status": "400", "Content-Type": None, "Content-Encoding": None, "Vary": None, "Location": None, "body": ""},
        escapes_needed,
    ),
    answers(
        "a path that no document can have is the client's mistake",
        "(GET|POST) (?!/v1/policies|/health).*",
        {"status": "500", "body": '.*"invalid_parameter: invalid path: .*'},
        {"status": "400", "Content-Encoding": None, "body": error(INVALID, "invalid path: .*")},
    ),
    answers(
        "unknown paths have errors in the one form of all errors",
        ".*",
        {"status": "404", "Content-Type": "text/plain; charset=utf-8", "body": "404 page not found\n|"},
        {"Content-Type": JSON, "Vary": None, "body": NO_RESOURCE + "|"},
    ),
    answers(
        "a path that no document can have is looked at before the input",
        "(GET|POST) /v1/data/.*input=.*",
        {"status": "400", "body": ".*parameter contains malformed input document: .*"},
        {"body": error(INVALID, "invalid path: (it is not UTF-8|a segment has a zero in it|invalid ref term .*)")},
    ),
    answers(
        "a key may have any character: OPA fails on this one",
        "GET /v1/data/object/%7f",
        {"status": "500", "body": '.*"invalid_parameter: invalid path: failed to parse query".*'},
        {"status": "200", "body": '{"decision_id":"an-id"}\n'},
    ),
    as_another("a % without digits stands for itself: Go refuses it", percent_as_itself, opa_refuses),
    as_another("a fragment is no part of a request", without_fragment, lambda exchange: b"#" in exchange.target()),
    answers(
        "names of endpoints have no escapes: a proxy in front compares them as they are written",
        "GET /(v1/%64ata|%76%31/data)/.*",
        {"status": "200"},
        {"status": "404", "Vary": None, "body": NO_RESOURCE},
    ),
    answers(
        "nothing is below a query or the health",
        "[A-Za-z]+ (/v1/query/|/health/).*",
        {"status": "405|500|400"},
        {"status": "404", "Content-Type": JSON, "Allow": None, "Vary": None, "body": NO_RESOURCE + "|"},
    ),
    # What OPA reads as an input.
    as_another("a name of JSON is exact: OPA takes INPUT for input", exact_input),
    answers(
        "a second value behind the input is refused for what it begins with",
        "GET /v1/data/tenants/t/echo\\?input=(\\[1\\]|1)%20.*",
        {"status": "200|400", "body": '\\{"decision_id":"an-id","result":1\\}\n|.*after top-level value".*'},
        {"status": "400", "body": error(INVALID, "parameter contains malformed input document: invalid character '(n|t|\\\\\")' looking for beginning of value")},
    ),
    answers(
        "YAML is read in UTF-8 only, as RFC 9512 has it",
        "POST .* Content-Type: application/yaml '\\\\xff\\\\xfei\\\\x00'",
        {"status": "400"},
        {"body": error(INVALID, "body contains malformed input document: yaml: control characters are not allowed")},
    ),
    # Methods.
    answers(
        "RFC 9110: 405 tells the methods that there are",
        ".*",
        {"status": "405"},
        {"status": "405", "Content-Type": JSON, "Allow": "[A-Z, ]+", "Vary": None, "body": NO_METHOD + "|"},
        not_in_allow,
    ),
    answers(
        "bundles are the only way to change a tenant",
        "(PUT|PATCH|DELETE) /v1/(data|policies)[/ ].*|(PUT|PATCH|DELETE) /v1/data",
        {"status": "400|404|204|500"},
        {"status": "405", "Content-Type": JSON, "Allow": "[A-Z, ]+", "Vary": None, "body": NO_METHOD},
        not_in_allow,
    ),
    # Content-Encoding.
    as_another("RFC 9110: the names of encodings have no case", small_encoding),
    answers(
        "a body that is not understood must not decide",
        "POST .* Content-Encoding:.*",
        {"status": "200|400"},
        {"status": "400", "body": error(INVALID, ENCODING)},
        other_encoding,
    ),
    answers(
        "our reader of gzip has fewer words for what is wrong with a body",
        "POST .* Content-Encoding: gzip.*",
        {"status": "400", "body": f'.*{GZIP}(gzip: invalid header|flate: corrupt input before offset [0-9]+|unexpected EOF)".*'},
        {"body": error(INVALID, f"({MALFORMED})?{GZIP}(gzip: invalid checksum|unexpected EOF)")},
    ),
    answers(
        "RFC 1952: a reserved flag that is set must be refused",
        "POST .*\\\\x1f\\\\x8b\\\\x08\\\\xe0.*",
        {"status": "200"},
        {"status": "400", "body": error(INVALID, GZIP + "gzip: invalid checksum")},
    ),
    opa_body("gzip is undone before anything reads the body as an input", rb"unexpected parse error for input: (?=could not decompress)", rb""),
    # Numbers.
    answers(
        "a double cannot hold it, and rounding could make two numbers equal",
        ".*",
        {"status": "200|400"},
        {"status": "400", "body": error(INVALID, MALFORMED + "this number is too large for a double; write it as an integer, or make it a string" + LIMIT)},
        too_large,
    ),
    answers(
        "a double cannot hold so many digits, and rounding could make two numbers equal",
        ".*",
        {"status": "200"},
        {
            "status": "400",
            "body": error(INVALID, MALFORMED + r"this number has more digits than can be represented exactly \(17 significant ones\); round it, or make it a string" + LIMIT),
        },
        too_exact,
    ),
    answers(
        "the time to read an integer grows with the square of its length",
        ".*",
        {"status": "200"},
        {"status": "400", "body": error(INVALID, MALFORMED + "this integer has more than 4096 digits" + LIMIT)},
        too_long,
    ),
    answers(
        "a double cannot hold it, and rounding could make two numbers equal: in a query",
        "(GET|POST) /v1/query.*1e400.*",
        {"status": "200"},
        {"status": "400", "body": '.*"code": "bundle_error",\n *"message": "this number is too large for a double; write it as an integer, or make it a string".*'},
        too_large,
    ),
    # Limits.
    answers(
        "a body has a limit of 1 MiB",
        ".*",
        {"status": "200|400"},
        {"status": "413", "Vary": "Accept-Encoding", "body": error("request_too_large", "the request body is over the limit of 1048576 bytes")},
        too_much,
    ),
    answers("a head has a limit", "GET .*", {"status": "200|431"}, {"status": "414|431", "Content-Type": None, "Vary": None, "body": ""}, long_target),
    Difference("a message has a limit of 16 KiB", cut_message),
    # HTTP.
    answers(
        "the HTTP library refuses what is no HTTP without a body",
        "(?!.*Host: localhost.r.nHost: localhost)'.*HTTP.*|'GET [^ ]*'",
        {"status": "400|501|505", "Content-Type": "text/plain; charset=utf-8", "body": "400 Bad Request.*|Unsupported transfer encoding|505 HTTP Version Not Supported.*"},
        {"status": "400", "Content-Type": None, "body": ""},
    ),
    answers(
        "a request without one host has an error in the one form of all errors",
        "'.*HTTP/1.1.*",
        {"status": "400", "body": "400 Bad Request(: missing required Host header)?"},
        {"Content-Type": JSON, "body": error(INVALID, "the request needs one valid Host header")},
        lambda exchange: exchange.request.raw.count(b"Host:") != 1,
    ),
    as_another("RFC 9112: empty lines before a request are ignored", without_empty_lines, opa_refuses),
    as_another("RFC 9110: an unknown expectation may be ignored", without_expectation, opa_refuses),
    answers(
        "a body that is not framed as HTTP requires has nothing to do with compression",
        "'.*Transfer-Encoding: chunked.*",
        {"status": "400", "body": f'.*"{GZIP}invalid byte in chunk length".*'},
        {"body": error(INVALID, "the request body ended early or is not framed as HTTP requires")},
    ),
    # Depth.
    answers(
        "512 levels are what the worker's stack is made for",
        ".*",
        {"status": "200|400"},
        {"status": "400", "body": error(INVALID, MALFORMED + f"(the JSON text is too deep{LIMIT}|the YAML text is too deep)")},
        too_deep,
    ),
    # Members of answers.
    opa_body(
        "the numbers of OPA's queries mean nothing outside of OPA: stack_trace",
        rb',\s*"stack_trace": ?\[(?:\s*\{\s*"query_id": ?[0-9]+,\s*"location": ?\{[^{}]*\}\s*\},?)+\s*\]',
        rb"",
    ),
    Difference("paths are not compiled: timer_rego_query_compile_ns", compile_metric),
    opa_body("data is not fetched from a store: timer_rego_external_resolve_ns", rb'"timer_rego_external_resolve_ns": ?0,\s*', rb""),
    opa_body(
        "instrument tells the stages of OPA's own compiler and evaluator",
        rb'"(?:counter_eval|histogram_eval|timer_eval|timer_compile_stage|timer_query_compile_stage)_[a-z_]+": ?(?:0|' + HISTOGRAM + rb"),\s*",
        rb"",
    ),
    Difference("the labels of a tenant are its id and our version", labels),
    answers(
        "a tenant has a status without a plugin",
        "GET /v1/status([?].*)?",
        {"status": "500", "body": '.*"status plugin not enabled".*'},
        {"status": "200", "body": r'\{\s*"result": ?\{\s*"labels": ?\{\s*"id": ?"t",.*"active_revision": ?"[0-9a-f]{64}",.*"plugins": ?\{\s*"bundle": ?\{\s*"state": ?"OK"\s*\}\s*\}\s*\}\s*\}\n'},
    ),
    answers("the answer does depend on Accept-Encoding", r"POST /(\?pretty)?( '.*)?", {"Vary": None}, {"Vary": "Accept-Encoding"}),
    Difference("provenance tells our version, and the tenant's bundle and revision", provenance),
    opa_body("comments are no part of a compiled module", rb',"comments":\[(?:\{"Text":"[^"]*","Location":\{[^{}]*\}\},?)+\]', rb""),
    opa_body("an error has its line in one form, whether it was found by the parser or not", rb'"details": ?\{\s*("line": ?"(?:[^"\\]|\\.)*"),\s*"idx": ?[0-9]+\s*\}', rb"\1"),
    opa_body("the trees of OPA's types are told in the message: details", rb',\n( +)"details": \{\n +"(?:have|want|ref)": .*?\n\1\}', rb""),
    Difference("the line of the query helps to find an error", lines_of_ours),
    Difference("an error says what to do about it", help_of_ours),
    Difference("numbers are doubles, written as doubles: the same number in another text", same_numbers(equal_decimals)),
    Difference("a result of arithmetic is the nearest double", same_numbers(nearest_double)),
)
