package mistakes

default allow := false

allow if {
	some role in input.user.roles
	role == "admin"
	startwith(input.path, "/admin")
}

allow if {
	input.action == "read"
	count(input.user.groups, 1) > 0
}
