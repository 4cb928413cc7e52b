"""Parameters of the query string: `input`, the switches, and what is none."""

from .rows import T, V0, get, post

INPUT = [
    "input=1", "input=", "input", 'input={"a":1}', "input=%7B%22a%22:1%7D", "input=x", 'input={"a":1', "input=1%202", "input=1&input=2",
    "input=1&input=x", "input=x&input=1", "input=null", 'input="a+b"', 'input="a%2Bb"', 'input="a%20b"', "input=%ff", 'input="%ff"',
    'input="%c3%bc"', 'input="ü"', "input=1;2", "input=%zz", "input=%5B1%5D%20", "input=%5B1%5D]", "input=[1]{", "input=[1][2]",
    "input=1}", "Input=1", "INPUT=1", "input=1e400", 'input={"a":1,"a":2}', "pretty;input=1", "input=[1]%20[2]", "input=1%20true",
    "input=1%20null", 'input=1%20"abc"', "input=1%20%22a%22", "input=1%202.5", "input=tru", "input=01", "in%70ut=1", "input[]=1",
    "input=1&pretty", "input=%20", "input=%00", "input=+1", "input=%2B1", "input=1+", "input==1", "=1&input=2", "&&input=3&", "?input=1",
    "input=false", 'input=""', "input=[]", "input={}", 'input="%22"', "input=1%0a", "input=%EF%BB%BF1", "input='a'", "input={}x",
    'input={"input":1}', "input=1%20x", "input=[1,]", 'input="\\ud800"', "input=1.50", "input=%5b%5D",
]  # fmt: skip

SWITCHES = "pretty metrics instrument provenance strict-builtin-errors".split()

VALUES = [
    "", "=", "=true", "=TRUE", "=True", "=false", "=0", "=1", "=yes", "=t", "=garbage", "=true%20", "=%74rue", "=true;", "=null",
]  # fmt: skip

UNUSUAL = [
    "pretty&pretty", "pretty=&pretty=false", "pretty=false&pretty=true", "pretty=true&pretty=false", "pretty=x&pretty=y&pretty=TRUE",
    "Pretty", "PRETTY=true", "pretty&nope=1", "a=%zz&pretty", "pretty;x", "p%72etty", "nope", "nope=1&nope=2", "", "&", "=", "%", "%zz",
    "strict_builtin_errors", "strict-builtin-errors&strict-builtin-errors", "strict-builtin-errors=false", "builtin-errors",
    "partial", "watch", "timeout=1ms", "limit=1", "decision_id=x", "pretty?metrics", "pretty&metrics&provenance",
    "metrics&instrument&provenance&pretty&explain=off", "instrument=false&metrics", "metrics=false&instrument=true", "provenance&pretty",
    "rule_labels", "rule-labels", "rule_labels=true&pretty", "bundles", "plugins",
]  # fmt: skip


def requests():
    for parameter in INPUT:
        yield get(f"{T}/echo?{parameter}")
    for parameter in INPUT[:12]:
        yield post(f"{T}/echo?{parameter}")
        yield post(f"{T}/echo?{parameter}", '{"input":{"from":"body"}}')
    yield get(b"/v1/data/tenants/t/echo?input=\xff")
    yield get(b'/v1/data/tenants/t/echo?input="\xff"')
    for switch in SWITCHES:
        for value in VALUES:
            yield get(f"{T}/array?{switch}{value}")
        yield post(f"{T}/uses_else?{switch}", '{"input":{"n":1}}')
        yield post(f"{T}/uses_else?{switch}")
        yield post(f"{T}/nothing?{switch}", '{"input":{}}')
        yield post(f"{V0}/uses_else?{switch}", '{"n":1}')
        yield get(f"/v1/data/list?{switch}")
        yield post(f"{T}/division?{switch}", '{"input":{"divisor":0}}')
    for query in UNUSUAL:
        yield get(f"{T}/object?{query}")
        yield post(f"{T}/partial_set?{query}", '{"input":{"members":[2,1]}}')
    for path in ("", "/partial_set", "/empty", "/nothing", "/escapes", "/escaped_keys", "/set", "/null_rule"):
        yield get(f"{T}{path}?pretty")
        yield post(f"{T}{path}?pretty")
    # The second time the query is prepared already.
    for _ in range(2):
        yield get(f"{T}/negated?metrics")
        yield post(f"{T}/negated?metrics", '{"input":{}}')
        yield post(f"{T}/negated?metrics&strict-builtin-errors", '{"input":{}}')
        yield get("/v1/data/order/a?metrics")
        yield get(f"{T}/with_data?instrument")
