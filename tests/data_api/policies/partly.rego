package tenants.t.partly

defined := true

undefined_here if input.never == "ever"

failing := 1 / 0 if input.fail
