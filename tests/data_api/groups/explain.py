"""Explanations: each mode, as events and pretty."""

from .rows import T, V0, get, post

MODES = ("notes", "fails", "full", "debug")
OTHERS = ("off", "wrong", "", "NOTES", "Full", "full ", "true", "1", "notes,full")

CASES = (
    ("noted", '{"input":{"n":1}}'), ("failing", '{"input":{"n":1}}'), ("failing", '{"input":{"n":200}}'),
    ("allow", '{"input":{"subject":{"role":"reader"},"action":"write"}}'), ("allow", '{"input":{"subject":{"role":"admin"}}}'),
    ("number", "{}"), ("nothing", "{}"), ("negated", '{"input":{"flag":true}}'), ("else_chain", '{"input":{"n":2}}'), ("calls", "{}"),
    ("partial_set", '{"input":{"members":[1,2]}}'), ("partial_object", '{"input":{"pairs":{"a":1}}}'), ("every_one", '{"input":{"members":[1,-1]}}'),
    ("comprehensions", '{"input":{"members":[1]}}'), ("with_input", "{}"), ("division", '{"input":{"divisor":0}}'), ("other/answer", "{}"), ("base", "{}"),
)  # fmt: skip


def requests():
    for path, body in CASES:
        for mode in MODES:
            yield post(f"{T}/{path}?explain={mode}", body)
            yield post(f"{T}/{path}?explain={mode}&pretty", body)
    for mode in OTHERS:
        yield post(f"{T}/noted?explain={mode}".replace(" ", "%20"), '{"input":{"n":1}}')
    for query in ("explain=wrong&explain=notes&pretty", "explain=fails&explain=notes&pretty", "explain&pretty", "Explain=notes", "explain=notes;", "expl%61in=notes&pretty"):
        yield post(f"{T}/noted?{query}", '{"input":{"n":1}}')
    for path in ("/v1/data/eu", "/v1/data/list/2/1", "/v1/data/nothing"):
        yield get(f"{path}?explain=full")
        yield get(f"{path}?explain=full&pretty")
    yield get(T + '/noted?explain=notes&pretty&input={"n":1}')
    yield get(T + '/noted?explain=notes&pretty&metrics&provenance&input={"n":1}')
    yield post(T + "/nothing?explain=full&metrics&provenance")
    yield post(V0 + "/noted?explain=full", '{"n":1}')
