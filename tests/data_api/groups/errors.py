"""Evaluations that fail: conflicts, and built-ins in strict mode."""

from .rows import T, V0, get, post

CONFLICTS = (
    ("conflict", '{"conflict":true}'), ("conflict", '{"conflict":false}'), ("complete_conflict", '{"values":[1,2]}'),
    ("complete_conflict", '{"values":[1,1]}'), ("complete_conflict", '{"values":[{"b":1,"a":2},{"a":3}]}'),
    ("complete_conflict", '{"values":["<a>","é"]}'), ("complete_conflict", '{"values":[[1,2,3],null]}'),
    ("complete_conflict", '{"values":[1.50,1e400]}'), ("object_conflict", '{"conflicting":[["a",1],["a",2]]}'),
    ("object_conflict", '{"conflicting":[["a",1],["a",1]]}'), ("object_conflict", '{"conflicting":[[1,1],["1",2]]}'),
    ("calls_conflict", '{"x":2}'), ("calls_conflict", '{"x":1}'), ("deep", '{"pairs":{"two":3}}'), ("deep/one", '{"pairs":{"two":3}}'),
    ("deep/one/two", '{"pairs":{"two":3}}'), ("deep", '{"pairs":{"two":12}}'), ("partial_object", '{"pairs":{"constant":3}}'),
    ("partial_object", '{"pairs":{"constant":"always"}}'), ("partial_object/constant", '{"pairs":{"constant":3}}'), ("", '{"conflict":true}'), ("", '{"x":2}'),
)  # fmt: skip

BUILTINS = (
    ("division", '{"divisor":0}'), ("division", '{"divisor":"a"}'), ("division", "{}"), ("division", '{"divisor":4}'), ("builtin", '{"text":"x"}'),
    ("builtin", '{"text":""}'), ("builtin", '{"text":[1]}'), ("builtin", '{"text":"1e3"}'), ("builtin", '{"text":"<&>"}'),
    ("many_errors", '{"texts":["a","b"]}'), ("many_errors", '{"texts":["1","b"]}'), ("builtin_nested", '{"divisors":[1,0,0]}'),
    ("builtin_nested", '{"divisors":[1,2]}'), ("type_error", '{"left":1,"right":"a"}'), ("type_error", '{"left":"a","right":1}'),
    ("type_error", '{"left":null,"right":[]}'), ("type_error", '{"left":{"a":1},"right":1}'), ("regex_error", '{"pattern":"("}'),
    ("regex_error", '{"pattern":"["}'), ("regex_error", '{"pattern":"t+"}'), ("regex_error", '{"pattern":1}'), ("time_error", '{"time":"x"}'),
    ("time_error", '{"time":"2020-01-01T00:00:00Z"}'), ("caught", '{"text":"x"}'), ("partly", '{"fail":true}'), ("partly/failing", '{"fail":true}'),
    ("", '{"divisor":0}'), ("", '{"text":"x"}'), ("big", '{"lines":"many"}'), ("comprehensions", '{"members":["a"]}'), ("noted", '{"n":"a"}'),
    ("every_one", '{"members":["a"]}'), ("whole_input_size", "1"),
)  # fmt: skip


def requests():
    for path, value in CONFLICTS:
        path = f"{T}/{path}".rstrip("/")
        yield post(path, '{"input":%s}' % value)
        yield post(path + "?strict-builtin-errors", '{"input":%s}' % value)
    for path, value in BUILTINS:
        path = f"{T}/{path}".rstrip("/")
        yield post(path, '{"input":%s}' % value)
        yield post(path + "?strict-builtin-errors", '{"input":%s}' % value)
    for path, value in CONFLICTS[::3] + BUILTINS[::3]:
        yield post(f"{V0}/{path}?strict-builtin-errors&pretty".replace("/?", "?"), value)
    yield get(T + '/division?strict-builtin-errors&input={"divisor":0}')
    yield get(T + '/conflict?input={"conflict":true}')
    for extra in ("pretty", "metrics", "instrument", "provenance", "explain=full", "explain=notes&pretty"):
        yield post(f"{T}/conflict?{extra}", '{"input":{"conflict":true}}')
        yield post(f"{T}/division?strict-builtin-errors&{extra}", '{"input":{"divisor":0}}')
    # The errors of a whole document are those of its first rule that fails.
    yield post("/v1/data", '{"input":{"conflict":true}}')
    yield post("/v1/data/tenants", '{"input":{"conflict":true}}')
