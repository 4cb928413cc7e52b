package tenants.t.other

import data.tenants.t

answer := t.number + 1

names contains name if some name, _ in t.object

