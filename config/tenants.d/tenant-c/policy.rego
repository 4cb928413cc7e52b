# Business hours: a maintenance window is open on working days between two hours, UTC.
#
# This tenant's id is not a Rego identifier, because of its hyphen, so the package is written with
# brackets. Its answer is one object instead of three rules, the other form of a decision.
package tenants["tenant-c"]

# An object needs a default as a whole: where no rule below holds, this is the answer.
default allow := {"allow": false, "reason": "The request has no valid environment.time"}

allow := {"allow": true, "reason": "Within the maintenance window"} if open

allow := {"allow": false, "reason": "Outside the maintenance window"} if {
	time_ns
	not open
}

# A time that does not parse would make the evaluation fail, which denies too, but does not say why.
# So only valid times reach the parser: strings, with days that exist.
time_ns := time.parse_rfc3339_ns(text) if {
	text := input.environment.time
	is_string(text)
	some day in days
	regex.match(concat("", ["^", day, "T", clock, offset, "$"]), text)
}

# The days of the years 2000 to 2099. It is [0-9] and not \d, which may also match digits of other
# scripts.
days := [
	`20[0-9][0-9]-(01|03|05|07|08|10|12)-(0[1-9]|[12][0-9]|3[01])`,
	`20[0-9][0-9]-(04|06|09|11)-(0[1-9]|[12][0-9]|30)`,
	`20[0-9][0-9]-02-(0[1-9]|1[0-9]|2[0-8])`,
	`20([02468][048]|[13579][26])-02-29`,
]

clock := `([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?`

offset := `(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])`

open if {
	time.weekday(time_ns) in data.window.days
	[hour, _, _] := time.clock(time_ns)
	hour >= data.window.from_hour
	hour < data.window.to_hour
}
