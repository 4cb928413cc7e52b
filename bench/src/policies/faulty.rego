
# What a tenant does to itself, by `input.do`.
allow if input.do == "nothing"

allow if {
	input.do == "spin"
	some x in numbers.range(1, 100000)
	some y in numbers.range(1, 100000)
	x + y < 0
}

allow if {
	input.do == "allocate"
	longer("All work and no play makes Jack a dull boy.")
}

allow if {
	input.do == "crash"
	deeper(0)
}

# Twice as long each time, so it meets the limit of memory before that of the stack.
longer(text) := longer(concat("", [text, text]))

deeper(number) := deeper(number + 1)
