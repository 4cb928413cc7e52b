# Business hours: a maintenance window is open on working days between two hours, UTC.
#
# This tenant's id is no Rego identifier, because of its hyphen, so the package is written with
# brackets. And its answer is one object instead of three rules, which is the other form that a
# decision may have.
package tenants["tenant-c"]

# An object has to have a default as a whole: where nothing below holds, this is the answer.
default allow := {"allow": false, "reason": "The request has no valid environment.time"}

allow := {"allow": true, "reason": "Within the maintenance window"} if open

allow := {"allow": false, "reason": "Outside the maintenance window"} if {
	time_ns
	not open
}

# A time that does not parse would make the evaluation fail, which denies too, but does not say why.
time_ns := time.parse_rfc3339_ns(input.environment.time) if {
	regex.match(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$`, input.environment.time)
}

open if {
	time.weekday(time_ns) in data.window.days
	[hour, _, _] := time.clock(time_ns)
	hour >= data.window.from_hour
	hour < data.window.to_hour
}
