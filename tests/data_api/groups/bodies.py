"""Bodies of POST: what counts as no input, what is no JSON, and what becomes of odd JSON."""

from .rows import T, V0, post

NO_INPUT = ["", " ", "\n", "{}", "null", '{"input":null}', '{"inputs":1}', '{"input ":1}', " {} ", "{}{}", "null 1", '{"":1}']

NOT_AN_OBJECT = ["[]", "[1]", '"a"', "1", "-1.5", "true", "false", '["input"]', "[{}]", '"input"']

# Only the first value is read.
MORE_BEHIND_IT = [
    '{"input":1} x', '{"input":1}{"input":2}', '{"input":1}}', '{"input":1}]', '{"input":1},', '  \n{"input":1}\n',
    '{"input":1}\x00', '{"input":1}\n{', '[] {"input":1}', '{} {"input":1}', b'{"input":1}\xff',
]  # fmt: skip

KEYS = [
    '{"input":1,"input":2}', '{"input":{"a":1},"input":{"b":2}}', '{"input":1,"input":null}', '{"input":null,"input":1}',
    '{"Input":1}', '{"INPUT":1}', '{"input":1,"INPUT":2}', '{"INPUT":2,"input":1}', '{"\\u0069nput":1}', '{"iNpUt":[]}',
    '{"input":{"a":1,"a":2}}', '{"input":{"a":{"c":1},"a":{"d":2}}}', '{"input":1,"other":[1,{}]}', '{"other":1,"input":2}',
    '{"\u0131nput":1}', '{"\u017fnput":1}', '{"input":{"":1," ":2}}', '{"input":{"b":1,"a":2,"B":3,"é":4,"10":5,"9":6}}',
    b'{"input":{"\xff":1,"\xfe":2}}', '{"input":{"\\ud800":1,"\\udc00":2}}', '{"metadata":{"a":1},"input":1}',
]  # fmt: skip

NUMBERS = [
    "1e400", "-1e400", "[1e400,-1e400]", "123456789012345678901234567890", "1.0", "-0", "-0.0", "0.0", "1.50", "1e2", "1E+2",
    "0.1e-5", "1e-400", "12345678901234567890.12345678901234567890", "9007199254740993", "[0.1,0.2,0.30000000000000004]",
    "01", "1.", "+1", ".5", "-", "1e", "1e+", "-.5", "0x10", "1_000", "NaN", "Infinity", "-Infinity", "00", "1 2", "1.2.3", "--1",
]  # fmt: skip

STRINGS = [
    b"a\xff\xc3b", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", "é😀", "\\ud800", "\\udc00\\ud800x", "\\ud83d\\ude00", "\\ud83d",
    "\\ud83d\\u0041", "\\u0000\\u007f", "\\u001f", "\\/\\b\\f\\n\\r\\t\\\"\\\\", "<>&\u2028\u2029", "\\u003c\\u003E", b"\x00", b"a\nb",
    b"\t", "\\x", "\\u12", "\\u12g4", "\\", "\\U0001F600", "\x7f", "\ufeff", "\ufffd", "%2F", "'",
]  # fmt: skip

NOT_JSON = [
    '{"input":', '{"input"', "{", "[", '{"input":1', '{"input":[', '{"input":{"a":', "{input:1}", "{'input':1}", '{"input":1,}',
    '{"input":[1,]}', '{"input":[1 2]}', '{"input":[,1]}', "xyz", "tru", "nul", "nulll", '{"input":tru}', '{"input":nulx}',
    '{"input":True}', '{"input":"abc', '{"input":"abc\\', '// c\n{"input":1}', '{"input":1 /* c */}', '{"input":1 "a":2}',
    '{"input" 1}', '{"input"::1}', '{"input":1;}', '{1:2}', "{null:1}", "{,}", "{]", "]", "}", ",", ":", "\\", "\u00e9", "input=1",
    "<input>1</input>", "input: 1", b"\xef\xbb\xbf{}", b'\xef\xbb\xbf{"input":1}', b"\xff\xfe{\x00}\x00", b"\x00", b"\x1f\x8b\x08",
    '{"a":1,"b":', '{"input":"a"b"}', '{"a":1}}{', '{"input":{"a" 1}}', '{"input":{"a":1 2}}', '{"input":{"a":1,}}', '{"input":{,}}',
]  # fmt: skip


def requests():
    for path in ("/echo", "/no_input", "/number"):
        for body in NO_INPUT:
            yield post(T + path, body)
    for body in NOT_AN_OBJECT + MORE_BEHIND_IT + KEYS + NOT_JSON:
        yield post(T + "/echo", body)
    for number in NUMBERS:
        yield post(T + "/echo", '{"input":%s}' % number)
    for string in STRINGS:
        string = string if isinstance(string, bytes) else string.encode()
        yield post(T + "/echo", b'{"input":"%s"}' % string)
        yield post(T + "/echo", b'{"input":{"%s":[]}}' % string)
    # An input is as large as this in practice.
    yield post(T + "/whole_input_size", '{"input":[%s]}' % ",".join(map(str, range(20000))))
    yield post(T + "/echo", '{"input":"%s"}' % ("ü" * 5000))
    for depth in (10, 100, 500):
        yield post(T + "/echo", '{"input":%s%s}' % ("[" * depth, "]" * depth))
        yield post(T + "/echo", '{"input":%s1%s}' % ('{"a":' * depth, "}" * depth))
    for body in NOT_JSON[:20] + MORE_BEHIND_IT + NO_INPUT:
        yield post(V0 + "/echo", body)
