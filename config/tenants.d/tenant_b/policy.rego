# Roles: a user has roles, a role has permissions, and a permission is an action on a type of
# resource. Who has which is in data.json, so that it changes without a change of the policy.
package tenants.tenant_b

default allow := false

allow if count(granting_roles) > 0

reason := sprintf("Granted by role %v", [concat(", ", granting_roles)]) if {
	allow
} else := sprintf("No role of %v grants %v on %v", [input.subject.user_id, input.action, input.resource.type]) if {
	input.subject.user_id
} else := "The request names no user"

# The roles of the user that grant the action, to be shown in the reason. Being a set, each is in it
# once, and in order.
granting_roles contains role if {
	some role in data.user_roles[input.subject.user_id]
	some permission in data.role_permissions[role]
	covers(permission.action, input.action)
	covers(permission.resource, input.resource.type)
}

# "*" in a permission stands for anything that was asked. A request cannot ask for "*" itself:
# what it names has to be in a permission as it is.
covers(granted, asked) if granted == asked

covers("*", asked) if asked != ""
