package clean_test

import data.clean

test_admin if clean.allow with input as {"role": "admin"}

test_user_may_not_write if {
	not clean.allow with input as {"role": "user", "action": "write"}
}
