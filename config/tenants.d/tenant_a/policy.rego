# Data residency: personal data is read only in the regions that it may be kept in, and the gateway
# removes fields that name a person unless the reader may see them.
#
# POST /v1/data/tenants/tenant_a/allow evaluates the three rules below: allow, redact and reason.
# Where no rule allows, the answer is a deny.
package tenants.tenant_a

# A rule that is not true is undefined. This makes it false instead, visibly to readers of the
# policy.
default allow := false

allow if {
	reading
	resident
}

# The fields that the gateway must remove from the resource before it passes it on. A set: every
# rule that holds adds to it. It is evaluated separately, so it repeats that an allow is required. A
# `not` over an undefined expression is true: `field` is bound above it, and for a reader who is not
# listed everything is removed.
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
