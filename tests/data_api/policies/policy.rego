# The rules that the requests of tests/data_api ask about, one kind of document or failure each.
package tenants.t

default allow := false

allow if input.subject.role == "admin"

allow if {
	some permission in data.permissions[input.subject.role]
	permission.action == input.action
}

reason := "admins may do everything" if input.subject.role == "admin"

redact contains field if {
	some field in data.sensitive
	input.subject.role != "admin"
}

# The whole input, so that a client sees how it was read.
echo := input

has_input if input

no_input if not input

undefined_rule := 1 if false

null_rule := null

false_rule := false

text := "a \"quoted\" text"

number := 42

array := [10, 20, [30, 31], {"a": 40, "0": 41}]

object := {"a": 1, "b": {"c": [1, 2]}, "0": "zero as text", "1.0": "one as text", "a/b": "slash", "": "empty", " ": "space", "ü": "umlaut", "%41": "percent"}

set := {"c", "a", "b", 2, 1, 10, true, null, [1], {"k": 1}}

numbers_set := {3, 1, 2.5, 10, -1}

sets_in_object := {"one": {3, 1, 2}, "two": {"b": {"y", "x"}}}

keyed_by_number := {1: "one", 2.5: "two and a half", -1: "minus one"}

keyed_by_others := {true: "true", null: "null", [1, "a"]: "array", {"k": 1}: "object", {1, 2}: "set"}

colliding_keys := {1: "number", "1": "text"}

partial_set contains x if some x in input.members

partial_object[key] := value if some key, value in input.pairs

partial_object.constant := "always"

deep.one.two := 12

deep.one[key] := value if some key, value in input.pairs

double(x) := x * 2

default triple(_) := 0

triple(x) := x * 3 if is_number(x)

calls := [double(2), triple("no number"), triple(3)]

escapes := "<script>&amp;</script>\u2028\u2029\u0000\u0001\u001f\u007f\b\f\n\r\t\\/é\ud83d\ude00"

escaped_keys := {"<&>": 1, "\u2028": 2, "\n": 3, "é": 4, "z": 5, "A": 6, "a": 7, "\ud83d\ude00": 8, "\uffee": 9}

literals := [
	0, -0, 1.0, 1.50, 1e2, 1e21, 1e-7, 100000000000000000000, 123456789012345678901234567890,
	0.1, -1.5e300, 9007199254740993, 1e200,
]

computed := [
	0.1 + 0.2, 1 / 3, 10 / 2, 2 * 1.5, 1e21 + 1, 1e300 * 1e300, 100000000000000000000 + 1, 0 * -1,
	7 % 3, 1e-7 * 1, 1.0 * 1, abs(-1.0), round(2.5), ceil(0.1), floor(-0.1), sum([0.1, 0.2]),
	product([1e10, 1e15]), to_number("1e3"), to_number("1.00"), 3.0 - 1, 1e15 / 1e-15,
]

# Errors.
conflict := 1 if input.conflict

conflict := 2 if input.conflict

complete_conflict := value if some value in input.values

object_conflict[key] := value if {
	some pair in input.conflicting
	key := pair[0]
	value := pair[1]
}

function_conflict(x) := 1 if x > 0

function_conflict(x) := 2 if x > 1

calls_conflict := function_conflict(input.x)

division := 1 / input.divisor

builtin := to_number(input.text)

builtin_nested := [division_by(x) | some x in input.divisors]

division_by(x) := 1 / x

type_error := input.left + input.right

many_errors contains to_number(text) if some text in input.texts

regex_error := regex.match(input.pattern, "text")

time_error := time.parse_rfc3339_ns(input.time)

caught := "fallback" if not to_number(input.text)

# Walks through other rules.
else_chain := "first" if {
	input.n == 1
} else := "second" if {
	input.n == 2
} else := "neither"

uses_else := {"is": else_chain}

noted := x if {
	x := input.n + 1
	trace(sprintf("n is %v", [input.n]))
}

failing if {
	input.n > 0
	trace("above zero")
	input.n > 100
	trace("above hundred")
}

every_one if every x in input.members { x > 0 }

comprehensions := {
	"array": [double(x) | some x in input.members],
	"set": {x | some x in input.members},
	"object": {sprintf("%v", [x]): x | some x in input.members},
}

with_input := x if x := data.tenants.t.echo with input as {"replaced": true}

with_data := x if x := data.permissions with data.permissions as {"none": []}

negated if not input.flag

base := data.permissions

whole_input_size := count(input)

big := [sprintf("a line of the large document, number %d", [i]) | some i in numbers.range(1, input.lines)]

decision := {"allow": allow, "redact": redact, "at": input.n}
