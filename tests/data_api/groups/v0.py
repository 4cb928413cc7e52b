"""The Data API v0: the body is the input, the answer is the value."""

from .rows import V0, get, post

PATHS = """echo has_input no_input number undefined_rule nope nope/x null_rule false_rule text array array/0 array/7 object object/a%2Fb object/zz set
set/a set/z partial_set partial_object partial_object/x deep/one/two double empty empty/x a%20package a%20package/x other/answer partly
partly/undefined_here allow redact reason escapes escaped_keys computed literals keyed_by_others failing %22 %ff nope%20x nope/0 nope/-1/x nope/1.5/true
nope/%5C/%0A nope/%C3%A9 nope/a-b nope/a.b nope/not nope/_ nope/$ nope/A1 nope/1a nope/%3Ca%3E""".split()

INPUTS = ("null", "1", '"a"', "true", "[1]", "{}", '{"input":1}', '{"subject":{"role":"admin"}}', '{"members":[1,2],"pairs":{"a":1}}', "1e400", "x", "{} x")


def requests():
    for path in PATHS:
        yield post(f"{V0}/{path}")
        yield post(f"{V0}/{path}", '{"subject":{"role":"reader"},"members":[2,1],"action":"read"}')
    for value in INPUTS:
        for path in ("echo", "allow", "partial_set"):
            yield post(f"{V0}/{path}", value)
    for path in ("", "/scalars", "/scalars/null", "/scalars/null/x", "/list/9", "/nope", "/tenants", "/tenants/t", "/tenants/x", "/eu/region"):
        yield post("/v0/data" + path)
    for parameter in ("pretty", "metrics", "provenance", "explain=full", "strict-builtin-errors", "input=1", "pretty=false"):
        yield post(f"{V0}/array?{parameter}")
        yield post(f"{V0}/nope?{parameter}")
    yield get(f"{V0}/number")
    yield post("/")
    yield post("/", '{"a":1}')
    yield post("/?pretty", "x")
