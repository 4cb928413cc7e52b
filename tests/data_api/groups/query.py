"""The Query API."""

import json
from urllib.parse import quote

from .rows import get, post

Q = "/v1/query"

QUERIES = (
    "x = 1", "x := 1", "data.tenants.t.number", "data.tenants.t.number = 42", "data.tenants.t.number = 43", "data.tenants.t.number = x", "x = data.list[_]",
    "data.list[i] = x", "true", "false", "1", '"a"', "null", "[]", "{}", "x", "input", "input = x", "data.nope", "data.nope = x", "", "   ", "\n", "# c", "x = ", "= x",
    "x := 1; y := x + 1", "x = 1; y = 2", "x = 1\ny = 2", "some i; data.list[i]", "some i, x in data.list", "data.list[_]", "data.list[5]", "_ = 1", 'x = [1,{"a":{1,2}}]',
    'x = "<a>"', "x = {1: 2}", "x = {[1]: 2}", 'http.send({"url":"x","method":"get"}, x)', "foo(1)", "data.tenants.t.double(2, x)", "x = data.tenants.t.double(2)",
    "data.tenants.t.nope(2, x)", "data.tenants.t.double(1, 2, 3)", 'data.tenants.t.conflict with input as {"conflict":true}', 'to_number("x", y)', "1/0 = x", "p = q", "x = y",
    "x := 1; x := 2", "import data.foo", "package a", "x = 1 # c", "every x in [1] { x > 0 }", "input.a = x", "print(1)", 'x = "a" + 1', "count(1)", "count([1], x)",
    "data.list[x] = 10", "a.b", "not x", "not data.nope", "not data.list", '{"a":', "[1", "x == 1", "1 == 1", "1 == 2", "x = 1e400", "x = 1.50", "x = 0.1 + 0.2", "false; true",
    "x = false", "false; x = 1", "data.list[x]; x = 5", "x in [1,2]", "some x in [2,1,2]; y = x", "x = {y | y = data.list[_]}", "x = data.tenants.t.set", "data.tenants.t.set[x]",
    "data.tenants.t.object[x] = y", "data.tenants.t.array[9]", "data.tenants.t.double", "data[x] = y; x = \"eu\"", "x = input.y with input as {\"y\": 1}", "x = data.z with data.z as 1",
    "x = `raw`", "x = \"\\u003c\"", "x = \"unterminated", "x = 'a'", "x && y", "x = 1 if true", "allow if true", "default x = 1", "x[1]", "x = data.tenants.t.undefined_rule",
    "trace(\"a\")", "sprintf(\"%v\", [1], x)", "x = sprintf(\"%d\", [1.5])", "regex.match(\"(\", \"a\")", "data.tenants.t.noted = x with input as {\"n\": 1}", "y = data.tenants.t.partial_object.constant",
    "$x = 1", "x = $1", "x = 01", "with = 1", "data.tenants.t[x] = 42", "x = data.tenants.t.else_chain", "1; 2", "{1}", "{1} = x", "{\"a\": x} = {\"a\": 1}", "[x, y] = [1, 2]", "[x, x] = [1, 2]",
)  # fmt: skip

BODIES = (
    None, "", " ", "{}", "null", "[]", "1", '"x=1"', "x", "{", '{"query":1}', '{"query":null}', '{"query":""}', '{"query":["x=1"]}', '{"query":"x=1"} y', '{"Query":"x=1"}',
    '{"QUERY":"x=1","query":"x=2"}', '{"query":"x=1","query":"x=2"}', '{"query":"x=1","unknowns":[]}', '{"query":"x=1","other":1}', '{"query":"input=x","input":{"a":1}}',
    '{"query":"input=x","input":null}', '{"query":"input=x","input":false}', '{"query":"input=x","input":1.50}', '{"query":"input=x","Input":2}', '{"query":"input.a=x","input":{"a":"\\ud800"}}',
    '{"query":"x="}', '{"query":"foo(1)"}', '{"query":"data.tenants.t.conflict","input":{"conflict":true}}', '{"query":"data.tenants.t.division=x","input":{"divisor":0}}', '{"input":1}',
)  # fmt: skip


def requests():
    for query in QUERIES:
        yield get(f"{Q}?q={quote(query, safe='')}")
    for query in QUERIES[::3]:
        yield post(Q, json.dumps({"query": query}))
        yield post(Q, json.dumps({"query": query, "input": {"a": 1, "n": 1}}))
    for body in BODIES:
        yield post(Q, body)
    for parameters in ("", "?q", "?q=", "?q=x=1&q=x=2", "?q=x%3D1&pretty", "?q=false&pretty", "?q=x=1&metrics", "?q=data.eu=x&metrics", "?q=x=1&instrument", "?q=x=1&provenance",
        "?q=x=1&pretty&metrics", "?q=data.tenants.t.number&explain=full", "?q=data.tenants.t.number&explain=full&pretty", "?q=false&explain=full", "?q=x=1&explain=notes", "?q=data.nope&explain=full&pretty",
        "?q=x=1&input=1", "?q=input=x&input=1", "?q=1/0=x&strict-builtin-errors", "?Q=x=1", "?q=x=%zz", "?q=x=1;y=2", "?q=x=1%3By=2", "?q=x+=+1", "?q=x=%22%ff%22", "?q=%ff", "?q=x%00"):  # fmt: skip
        yield get(Q + parameters)
    for parameters in ("?pretty", "?metrics", "?pretty&metrics", "?instrument", "?q=x=5", "?explain=notes&pretty", "?explain=full", "?explain=fails&pretty", "?strict-builtin-errors", "?provenance"):
        yield post(Q + parameters, '{"query":"data.tenants.t.noted = x","input":{"n":1}}')
        yield post(Q + parameters, '{"query":"x = 1/0"}')
    yield post(Q + "/", '{"query":"x=1"}')
    yield get(Q + "/x?q=x=1")
