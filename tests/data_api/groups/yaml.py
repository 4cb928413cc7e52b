"""YAML bodies, and which Content-Types make a body YAML."""

from .rows import T, V0, post

TYPES = """application/yaml application/x-yaml text/yaml text/x-yaml text/vnd.yaml YAML application/YAML application/Yaml yaml
application/json;x=yaml application/notyaml;charset=utf-8 application/yml text/plain application/json application/json;charset=latin1
application/x-www-form-urlencoded multipart/form-data application/octet-stream image/png application/ld+json application/yaml+json x/y/z ;
application/json,application/yaml""".split()

BODIES = (
    "", "   ", "# c", "{}", "null", "~", "a", "- 1", "1", "input:", "input: ~", "input: null", "input: yes", "input: on", "input: off", "input: N",
    "input: true", "input: True", "input: TRUE", "input: 2020-01-01", "input: 2020-01-01T00:00:00Z", "input: 0x10", "input: 0o10", "input: 010",
    "input: 08", "input: 1e3", "input: 1.0", "input: 1.50", "input: .inf", "input: -.inf", "input: .nan", "input: 123456789012345678901234567890",
    "input: 9007199254740993", "input: 18446744073709551615", "input: -9223372036854775808", "input: {1: a}", "input: {true: b}", "input: {null: c}",
    "input: {2.5: d}", "input: {1: a, true: b, null: c, 2.5: d}", "input: {[1]: a}", "input: {? {a: 1} : b}", "input: &a [1]\nb: *a", "b: &a [1]\ninput: *a",
    "input: *a", "input: {a: 1, a: 2}", "input: 1\ninput: 2", "Input: 1", "INPUT: 1", "input: !!str 1", "input: !!int '1'", "input: !x 1",
    "input: !!float 1", "input: !!bool yes", "input: !!set {a, b}", "input: !!binary aGk=", 'input: "\\u00e9\\x41\\n"', 'input: "\\ud800"',
    "input: |\n  a\n  b\n", "input: >\n  a\n  b\n", "input: |-\n  a", "input: 'it''s'", "a: [", "a: {", "a: 'x", "input: @x", "input: `x",
    "\tinput: 1", "input:\n\t- 1", "input: 1\n---\ninput: 2", "---\ninput: 1\n...\n", "input: 1\n---\nx: [", "input: <<", "input: {<<: {a: 1}, b: 2}",
    "x: &x {a: 1}\ninput: {<<: *x, b: 2}", "input: {<<: [{a: 1}, {a: 2, b: 3}]}", '{"input":1} x', '{"input":1', '{"input":1.50}', '{"input":1e400}', '{"input":12345678901234567890123}', '{"input":0.12345678901234567890}',
    '{"input":{"a":1,"a":2}}', '{"input":"\\ud800"}', "\ufeffinput: 1", '\ufeff{"input":1}', "%YAML 1.2\n---\ninput: 1", "%YAML 1.1\n---\ninput: yes",
    "input: -0", "input: 1_000", "input: 0b11", "input: 12:30:45", "input: =", "input: +1", "input: 1.", "input: .5", "input: 1e400", "input: -1e400",
    "input: [1, 2,]", "input: [a, [b, {c: d}]]", "input:\n- 1\n- a: 2\n  b: 3", "input: {a: , b: 2}", "input: a: b", "input: [}", "a: 1\n b: 2",
    "  a: 1\nb: 2", "input: \"a\"b", "? input\n: 1", "input : 1", "input:1", "'input': 1", "input: <a&b>", "input: é", "input: 😀", "input: 'a\n\n  b'",
)  # fmt: skip

YAML = "Content-Type: application/yaml"


def requests():
    for content_type in TYPES:
        yield post(T + "/echo", "input: {a: 1}", f"Content-Type: {content_type}")
        yield post(T + "/echo", '{"input":{"a":1}}', f"Content-Type: {content_type}")
    yield post(T + "/echo", "input: {a: 1}", "Content-Type: ")
    yield post(T + "/echo", "input: {a: 1}", "Content-Type: application/json", YAML)
    yield post(T + "/echo", "input: {a: 1}", YAML, "Content-Type: application/json")
    for body in BODIES:
        yield post(T + "/echo", body, YAML)
    for body in (b"input: \xff", b"input: \x00", b"input: a\x07b", b"\xff\xfei\x00", b'{"input":"\xff"}'):
        yield post(T + "/echo", body, YAML)
    for body in ("a: 1", "", "null", "- 1", "a: [", '{"a":1} x', "1.50"):
        yield post(V0 + "/echo", body, YAML)
    yield post("/v1/query", "query: x = 1", YAML)
    # Each alias stands for nine of the one before it.
    laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    for name, before in zip("bcdefgh", "abcdefg"):
        laughs += f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
    yield post(T + "/has_input", laughs + "input: *h", YAML)
    yield post(T + "/has_input", laughs.split("d:")[0] + "input: *c", YAML)
    for depth in (10, 100):
        yield post(T + "/echo", "input: " + "[" * depth + "]" * depth, YAML)
        yield post(T + "/echo", "input: " + "{a: " * depth + "1" + "}" * depth, YAML)
