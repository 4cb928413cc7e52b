package clean

allow if input.role == "admin"

allow if {
	input.role == "user"
	input.action == "read"
}

unused if input.never
