"""What each kind of document gives: base and virtual, defined and not, with input and without."""

from .rows import T, get, post

BASE = """/ /permissions /sensitive /list /object /scalars /scalars/null /scalars/false /scalars/empty_text
/scalars/empty_list /scalars/empty_object /scalars/float /markup /numbers /order /eu /eu/region /eu/region/de
/eu/region/de/name /nothing /eu/nothing""".split()

VIRTUAL = """allow reason redact echo has_input no_input undefined_rule null_rule false_rule text number array object set
numbers_set sets_in_object keyed_by_number keyed_by_others colliding_keys partial_set partial_object deep deep/one
deep/one/two calls escapes escaped_keys literals computed else_chain uses_else noted failing every_one comprehensions
with_input with_data negated base whole_input_size decision other other/answer other/names empty partly partly/defined
partly/undefined_here nothing nothing/below caught""".split()

# Functions are no documents.
FUNCTIONS = "double triple double/1 triple/x/y function_conflict division_by".split()

INPUTS = """{"input":{}}
{"input":null}
{"input":false}
{"input":0}
{"input":""}
{"input":[]}
{"input":[1,[2,{}]]}
{"input":{"subject":{"role":"admin"},"action":"read"}}
{"input":{"subject":{"role":"reader"},"action":"read","n":2}}
{"input":{"subject":{"role":"reader"},"action":"write","n":1,"flag":true}}
{"input":{"members":[3,1,2,1],"pairs":{"a":1,"b":[2]}}}
{"input":{"members":[],"pairs":{}}}
{"input":{"members":{"x":1,"y":0}}}
{"input":{"text":"12","divisor":4,"left":1,"right":2,"x":0,"n":5}}""".split("\n")


def requests():
    for path in BASE:
        yield get("/v1/data" + path.rstrip("/"))
        yield post("/v1/data" + path.rstrip("/"), '{"input":1}')
    for path in VIRTUAL + FUNCTIONS:
        yield get(f"{T}/{path}")
        yield post(f"{T}/{path}")
        yield post(f"{T}/{path}", '{"input":{"subject":{"role":"reader"},"action":"list","members":[2,1],"n":1}}')
    for path in (T, "/v1/data/tenants"):
        yield get(path)
        yield post(path)
    for body in INPUTS:
        for path in ("", "/allow", "/echo", "/redact", "/partial_set", "/partial_object", "/deep", "/comprehensions", "/decision"):
            yield post(T + path, body)
