# Roles: a user has roles, a role has permissions, and a permission is an action on a type of
# resource. The assignments are in data.json, so that they can change without a change of the
# policy.
package tenants.tenant_b

default allow := false

allow if count(granting_roles) > 0

# Each branch repeats its conditions without `not`: a `not` over a member that the request lacks is
# true.
reason := sprintf("Granted by role %v", [concat(", ", granting_roles)]) if {
	allow
} else := sprintf("No role of %v grants %v on %v", [input.subject.user_id, input.action, input.resource.type]) if {
	is_name(input.subject.user_id)
	is_name(input.action)
	is_name(input.resource.type)
} else := "The request names no type of resource" if {
	is_name(input.subject.user_id)
	is_name(input.action)
} else := "The request names no action" if {
	is_name(input.subject.user_id)
} else := "The request names no user"

# The roles of the user that grant the action, shown in the reason. A set has each of them once, in
# order.
granting_roles contains role if {
	some role in data.user_roles[input.subject.user_id]
	some permission in data.role_permissions[role]
	covers(permission.action, input.action)
	covers(permission.resource, input.resource.type)
}

# "*" in a permission stands for any name. A request cannot ask for "*" itself: it must name an
# action and a type, even where everything is granted.
covers(granted, asked) if {
	is_name(asked)
	asked != "*"
	granted in {asked, "*"}
}

is_name(value) if {
	is_string(value)
	value != ""
}
