"""The differences from OPA that are accepted, each with its reason; docs/data-api.md has them too.

Each is a step that takes exactly one difference out of the two answers (exchange.py, steps.py).
The steps are taken in this order, and what still differs after the last one fails. A difference
that no request shows any more has to be removed: the suite fails.
"""

import steps
from exchange import Difference, answers, as_another, opa_body

JSON = "application/json"


def error(code, message):
    """A body of ours: this error and nothing else. `message` is a regular expression."""
    return rf'(\{{\n  "code": "{code}",\n  "message": "{message}"\n\}}\n|indented: \{{"code":"{code}","message":"{message}"\}})'


INVALID = "invalid_parameter"
ENCODING = "the content or transfer encoding is not supported; send the body without encoding, or in gzip"
NO_METHOD = error("invalid_operation", "the resource does not support this method")
NO_RESOURCE = error("resource_not_found", "there is no such resource")
MALFORMED = "(unexpected parse error for input: )?(body|parameter) contains malformed input document: "
LIMIT = ": the limit of a built-in is reached"
INVALID_PATH = r"""invalid path: (it is not UTF-8|a segment has a zero in it|invalid ref term '([^"\\]|\\.)*')"""
GZIP = "could not decompress the body: "
STATUS = (
    r'\{\s*"result": ?\{\s*"labels": ?\{\s*"id": ?"t",\s*"version": ?"[0-9]+\.[0-9]+\.[0-9]+"\s*\},\s*'
    r'"bundles": ?\{\s*"t": ?\{\s*"name": ?"t",\s*"active_revision": ?"[0-9a-f]{64}",\s*"last_successful_activation": ?"[0-9TZ:.-]{24}"\s*\}\s*\},\s*'
    r'"plugins": ?\{\s*"bundle": ?\{\s*"state": ?"OK"\s*\}\s*\}\s*\}\s*\}\n'
)
QUERY_NUMBER = (
    r'\{\n  "code": "invalid_parameter",\n  "message": "error\(s\) occurred while compiling query",\n  "errors": \[\n    \{\n      "code": "bundle_error",\n      '
    r'"message": "this number is too large for a double; write it as an integer, or make it a string",\n      '
    r'"location": \{[^{}]*\},\n      "line": "x = 1e400"\n    \}\n  \]\n\}\n'
)
HISTOGRAM = rb'\{(?:\s*"[a-z0-9.%]+": ?0,?)+\s*\}'

ACCEPTED = (
    # Paths.
    as_another("a redirect loses a POST, the parameters, or the escapes: ours answers the document that the path names", steps.document, steps.redirected),
    as_another("an unknown path is told at once: OPA redirects first", steps.single_slashes, lambda exchange: steps.redirected(exchange) and exchange.ours.get("status") == 404),
    answers(
        "names of endpoints have no dots: clients leave them out before they send a path",
        "(GET|POST) /v1/[.]/data/.*",
        {"status": "307"},
        {"status": "404", "Content-Type": JSON, "Location": None, "body": NO_RESOURCE},
    ),
    Difference("a slash at the end of a key belongs to the key: OPA redirects to the path without it", steps.slashes_of_keys),
    answers(
        "RFC 3986 wants these bytes escaped in a target: the HTTP library refuses them",
        ".*",
        {},
        {"status": "400", "Content-Type": None, "Content-Encoding": None, "Vary": None, "Location": None, "body": ""},
        steps.escapes_needed,
    ),
    answers(
        "a path that no document can have is the client's mistake",
        "(GET|POST) (?!/v1/policies|/health).*",
        {"status": "500", "body": '.*"invalid_parameter: invalid path: .*'},
        {"status": "400", "Content-Encoding": None, "body": error(INVALID, INVALID_PATH)},
    ),
    answers(
        "unknown paths have errors in the one form of all errors",
        ".*",
        {"status": "404", "Content-Type": "text/plain; charset=utf-8", "body": "(404 page not found\n)?"},
        {"Content-Type": JSON, "Vary": None, "body": NO_RESOURCE},
    ),
    answers(
        "a path that no document can have is looked at before the input",
        "(GET|POST) /v1/data/.*input=.*",
        {"status": "400", "body": ".*parameter contains malformed input document: .*"},
        {"body": error(INVALID, INVALID_PATH)},
    ),
    answers(
        "a key may have any character: OPA fails on this one",
        "GET /v1/data/object/%7f",
        {"status": "500", "body": '.*"invalid_parameter: invalid path: failed to parse query".*'},
        {"status": "200", "body": '{"decision_id":"an-id"}\n'},
    ),
    as_another("a % without digits stands for itself: Go refuses it", steps.percent_as_itself, steps.opa_refuses),
    as_another("a fragment is no part of a request", steps.without_fragment, lambda exchange: b"#" in exchange.target()),
    answers(
        "names of endpoints have no escapes: a proxy in front compares them as they are written",
        "GET /(v1/%64ata|%76%31/data)/.*",
        {"status": "200"},
        {"status": "404", "Vary": None, "body": NO_RESOURCE},
    ),
    answers(
        "nothing is below a query or the health",
        "[A-Za-z]+ (/v1/query/|/health/)[^/].*",
        {"status": "405|500|400"},
        {"status": "404", "Content-Type": JSON, "Allow": None, "Vary": None, "body": NO_RESOURCE},
    ),
    answers(
        "an id that no file can have is quoted in another notation",
        "GET /v1/policies/[^/]*(%00|%ff)",
        {"status": "404"},
        {"body": error("resource_not_found", r'storage_not_found_error: policy id .{1,40}')},
    ),
    answers(
        "a call with too many arguments is told as everywhere in a policy",
        "(GET|POST) /v1/query.*double%?.*",
        {"status": "400", "body": '.*: arity mismatch".*'},
        {"body": r'.*"message": "function data\.tenants\.t\.double has arity 1, got [0-9] arguments".*'},
    ),
    # What OPA reads as an input.
    as_another("a name of JSON is exact: OPA takes INPUT for input", steps.exact_input),
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
        {"body": error(INVALID, "body contains malformed input document: yaml: invalid leading UTF-8 octet")},
    ),
    answers(
        "a query that is not UTF-8 is refused before it is parsed",
        "GET /v1/query[?]q=.*%ff.*",
        {"status": "400", "body": '.*"illegal utf-8 character".*'},
        {"body": error(INVALID, "illegal utf-8 character")},
    ),
    # Methods.
    answers(
        "RFC 9110: 405 tells the methods that there are",
        ".*",
        {"status": "405"},
        {"status": "405", "Content-Type": JSON, "Allow": "[A-Z, ]+", "Vary": None, "body": NO_METHOD},
        steps.not_in_allow,
    ),
    answers(
        "bundles are the only way to change a tenant",
        "(PUT|PATCH|DELETE) /*v1/+(data|policies)[/ ].*|(PUT|PATCH|DELETE) /v1/data",
        {"status": "400|404|204|500"},
        {"status": "405", "Content-Type": JSON, "Allow": "[A-Z, ]+", "Vary": None, "body": NO_METHOD},
        steps.not_in_allow,
    ),
    # Content-Encoding.
    as_another("RFC 9110: the names of encodings have no case", steps.small_encoding),
    answers(
        "a body that is not understood must not decide",
        "POST .* Content-Encoding:.*",
        {"status": "200|400"},
        {"status": "400", "body": error(INVALID, ENCODING)},
        steps.other_encoding,
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
        {"status": "200|400|404|500"},
        {"status": "400", "body": error(INVALID, MALFORMED + "this number is too large for a double; write it as an integer, or make it a string" + LIMIT)},
        steps.too_large,
    ),
    answers(
        "a double cannot hold it, and 0 is another number",
        ".*",
        {"status": "200|404|500"},
        {"status": "400", "body": error(INVALID, MALFORMED + "this number is too small for a double; write 0, or make it a string" + LIMIT)},
        steps.too_small,
    ),
    answers(
        "a double cannot hold so many digits, and rounding could make two numbers equal",
        ".*",
        {"status": "200|404|500"},
        {
            "status": "400",
            "body": error(INVALID, MALFORMED + r"this number has more digits than can be represented exactly \(17 significant ones\); round it, or make it a string" + LIMIT),
        },
        steps.too_exact,
    ),
    answers(
        "the time to read an integer grows with the square of its length",
        ".*",
        {"status": "200"},
        {"status": "400", "body": error(INVALID, MALFORMED + "this integer has more than 4096 digits" + LIMIT)},
        steps.too_long,
    ),
    answers(
        "a double cannot hold it, and rounding could make two numbers equal: in a query",
        "(GET|POST) /v1/query.*1e400.*",
        {"status": "200"},
        {"status": "400", "body": QUERY_NUMBER},
        steps.too_large,
    ),
    # Limits.
    answers(
        "a body has a limit of 1 MiB",
        ".*",
        {"status": "200|400"},
        {"status": "413", "Vary": "Accept-Encoding", "body": error("request_too_large", "the request body is over the limit of 1048576 bytes")},
        steps.too_much,
    ),
    answers("a head has a limit", "GET .*", {"status": "200|431"}, {"status": "414|431", "Content-Type": None, "Vary": None, "body": ""}, steps.long_target),
    Difference("a message has a limit of 16 KiB", steps.cut_message),
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
    answers(
        "a request is for a host that is served here",
        "'GET .*Host: x.*",
        {"status": "200", "Vary": "Accept-Encoding", "body": r'\{"decision_id":"an-id","result":42\}\n'},
        {"status": "421", "Vary": None, "body": error("misdirected_request", "no host of this name is served here; an operator may add it to ENFORCER_ALLOWED_HOSTS")},
    ),
    as_another("RFC 9112: empty lines before a request are ignored", steps.without_empty_lines, steps.opa_refuses),
    as_another("RFC 9110: an unknown expectation may be ignored", steps.without_expectation, steps.opa_refuses),
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
        steps.too_deep,
    ),
    # Members of answers.
    opa_body(
        "the numbers of OPA's queries mean nothing outside of OPA: stack_trace",
        rb',\s*"stack_trace": ?\[(?:\s*\{\s*"query_id": ?[0-9]+,\s*"location": ?\{[^{}]*\}\s*\},?)+\s*\]',
        rb"",
    ),
    Difference("paths are not compiled: timer_rego_query_compile_ns", steps.compile_metric),
    opa_body("data is not fetched from a store: timer_rego_external_resolve_ns", rb'"timer_rego_external_resolve_ns": ?0,\s*', rb""),
    opa_body(
        "instrument tells the stages of OPA's own compiler and evaluator",
        rb'"(?:counter_eval|histogram_eval|timer_eval|timer_compile_stage|timer_query_compile_stage)_[a-z_]+": ?(?:0|' + HISTOGRAM + rb"),\s*",
        rb"",
    ),
    Difference("the labels of a tenant are its id and our version", steps.labels),
    answers(
        "a tenant has a status without a plugin",
        "GET /v1/status([?].*)?",
        {"status": "500", "body": '.*"status plugin not enabled".*'},
        {"status": "200", "body": STATUS},
    ),
    answers("the answer does depend on Accept-Encoding", r"POST /(\?pretty)?( '.*)?", {"Vary": None}, {"Vary": "Accept-Encoding"}),
    Difference("provenance tells our version, and the tenant's bundle and revision", steps.provenance),
    opa_body("values may be secret, and errors go to logs and to the stream", rb'(produced conflicting values(?: for the same inputs)?):(?:\\n  (?:[^"\\]|\\[^n])* at [^"\\]+:[0-9]+)+', rb"\1"),
    opa_body("generated variables of a query have the names that those of a policy have", rb"__localq([0-9]+)__", rb"__local\1__"),
    opa_body("a byte that is not UTF-8 is U+FFFD before the text is parsed", rb"invalid character '[\xc2\xc3][\x80-\xbf]'", b"invalid character '\xc3\xaf'"),
    opa_body("comments are no part of a compiled module", rb',"comments":\[(?:\{"Text":"[^"]*","Location":\{[^{}]*\}\},?)+\]', rb""),
    opa_body("an error has its line in one form, whether it was found by the parser or not", rb'"details": ?\{\s*("line": ?"(?:[^"\\]|\\.)*"),\s*"idx": ?[0-9]+\s*\}', rb"\1"),
    opa_body("the trees of OPA's types are told in the message: details", rb',\n( +)"details": \{\n +"(?:have|want|ref)": .*?\n\1\}', rb""),
    Difference("the line of the query helps to find an error", steps.lines_of_ours),
    Difference("an error says what to do about it", steps.help_of_ours),
    Difference("numbers are doubles, written as doubles: the same number in another text", steps.same_numbers(steps.equal_decimals)),
    Difference("a result of arithmetic is the nearest double", steps.same_numbers(steps.nearest_double)),
)
