
# The ways in which a tenant harms itself, by `input.do`.
allow if input.do == "nothing"

allow if {
	input.do == "spin"
	some x in numbers.range(1, 100000)
	some y in numbers.range(1, 100000)
	x + y < 0
}

# Texts of 3 MB, until they reach the memory limit or the deadline. They begin with a text of the
# input, so that they cannot be computed when the policy is loaded.
allow if {
	input.do == "allocate"
	x0 := concat(" ", [input.id, "all work and no play makes Jack a dull boy"])
	x1 := concat("", [x0, x0])
	x2 := concat("", [x1, x1])
	x3 := concat("", [x2, x2])
	x4 := concat("", [x3, x3])
	x5 := concat("", [x4, x4])
	x6 := concat("", [x5, x5])
	x7 := concat("", [x6, x6])
	x8 := concat("", [x7, x7])
	x9 := concat("", [x8, x8])
	x10 := concat("", [x9, x9])
	x11 := concat("", [x10, x10])
	x12 := concat("", [x11, x11])
	x13 := concat("", [x12, x12])
	x14 := concat("", [x13, x13])
	x15 := concat("", [x14, x14])
	x16 := concat("", [x15, x15])
	texts := [text | some number in numbers.range(1, 1000); text := concat(format_int(number, 10), [x16, ""])]
	count(texts) < 0
}
