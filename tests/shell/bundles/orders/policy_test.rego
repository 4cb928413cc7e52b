package orders_test

import data.orders

order := {"owner": "ann", "region": "eu", "state": "open", "total": 20}

test_owner if orders.allow with input as {"user": {"id": "ann"}, "order": order}

# The region is another one, so this test is wrong.
test_support if {
	user := {"id": "joe", "roles": ["support"], "region": "us"}
	print("asked as", user.id)
	orders.allow with input as {"user": user, "order": order}
}

test_sealed_order_is_not_shown if {
	user := {"id": "joe", "roles": ["support"], "region": "eu"}
	sealed := object.union(order, {"state": "fraud"})
	not orders.allow with input as {"user": user, "order": sealed}
}

todo_test_guests if false

# Two values for one rule.
limit := 1 if true

limit := 2 if true

test_limit if limit == 1

test_fee[name] if {
	some name, case in {
		"small": {"total": 20, "fee": 5},
		"large": {"total": 50, "fee": 5},
	}
	orders.fee({"total": case.total}) == case.fee
}
