# Data residency: personal data is read only in the regions that it may be kept in, and the fields
# that name a person are removed on the way out unless the reader may see them.
#
# Asked as POST /v1/data/tenants/tenant_a/allow, which takes the three rules below: allow, redact
# and reason. Anything that a rule does not say is a deny.
package tenants.tenant_a

# A rule that is not true is undefined. This makes the answer false instead, and says so to whoever
# reads the policy.
default allow := false

allow if {
	reading
	resident
}

# What the gateway must remove from the resource before it passes it on. A set: every rule that
# holds adds to it. It is asked for on its own, so it repeats that there has to be an allow. A `not`
# over something undefined is true: `field` is bound above it, and a reader who is not named, and so
# may see nothing, has everything removed.
redact contains field if {
	allow
	some field in data.redactions[input.resource.type]
	not may_see(field)
}

# One reason for every answer. The `else` branches are tried in order, so exactly one holds.
reason := "Allowed by data residency policy" if {
	allow
} else := "Only reading is allowed" if {
	not reading
} else := sprintf("%v must not be read in region %v", [input.resource.type, input.resource.region]) if {
	input.resource.type
	input.resource.region
} else := "The resource has no type or no region"

reading if input.action == "read"

# data.residency is this tenant's own data.json; no other tenant has it, or can see it.
resident if input.resource.region in data.residency[input.resource.type]

may_see(field) if field in data.clearances[input.subject.user_id]
