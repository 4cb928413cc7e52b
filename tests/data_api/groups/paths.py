"""Paths: escapes, redirects, numbers as segments, and segments that cannot be."""

from .rows import T, V0, exact, get, post, send

# Below /v1/data, into base documents: their shape is not known beforehand.
BASE = """object/a%2Fb object/a%2fb object/a/b object/%00 object/%ff object/%25 object/%252F object/%252f object/%2F object/%C3%BC
object/ü object/+ object/%2B object/%20 object/%2E object/%2E%2E object/0 object/1 object/-1 object/01 object/1.0 object/1.
object/.0 object/+1 object/--1 object/9223372036854775807 object/9223372036854775808 object/-9223372036854775808
object/-9223372036854775809 object/true object/null object/"a" object/%22a%22 object/%22 object/%zz object/% object/%4 object/a? object/a#x
object/a%3F object/a%23 object/a;b object/A object/a/ object/a%2F object/%61 object/%e2%82%ac object/%E2%82 object/a%00b object/%0A
object/%5C object/%60 object/' object/%27 object/* object/~ object/! object/a,b object/a:b object/@ object/$x object/_ object/[0]
object/%5B0%5D object/{} object/| object/^ object/< object/%3E object/a&b object/a=b object/%7f object/%C2%85 object/%EF%BF%BD
object/%ED%A0%80 object/%F0%9F%98%80 object/a.b object/data object/input object/default object/not object/1e0 object/1.5 object/0x1
object/00 object/0000000000000000001 object/00000000000000000001 object/%31 object/%2D1 object/١
list/0 list/00 list/+0 list/-0 list/0.0 list/0. list/1.000 list/1.001 list/-1 list/5 list/6 list/4 list/2/1 list/3/a list/3/0 list/x list/1e0
list/99999999999999999999 list/%30 list/%2B0 list/%2E list/+ list/- list/0/0 list/9223372036854775807 list/-9223372036854775808
list/0000000000000000000 list/00000000000000000000 list/length list/%20 list/3/b list/2/1/0 list/4/x list/5/x
scalars/text/x scalars/text/0 scalars/number/0 scalars/null scalars/null/x scalars/empty_list/0 scalars/float/0 scalars/false/x
eu/region/de/name/x eu/region/xx eu/0 order/10 order/9 order/a%20b order/%C3%A9 permissions/reader/0/action permissions/reader/0/0
numbers/3 numbers/10 sensitive/1 sensitive/pii.email""".split()

# Below the tenant's package, into rules: the compiler knows their types.
RULES = """array/0 array/2/1 array/2/7 array/2/1/1 array/3/0 array/3/a array/3/b array/9 array/-1 array/x array/1.0 array/%2E array/01
object/0 object/a object/1.0 object/a%2Fb object/a/b object/%20 object/%2F object/%C3%BC object/%2541 object/b/c object/b/c/1 object/b/c/9
object/b/c/1/x object/b/x object/zz object/zz/y set/a set/2 set/z set/null set/true set/1.0 set/10 set/11 set/%5B1%5D set/a/b set/2/x
numbers_set/1 numbers_set/2.5 numbers_set/-1 numbers_set/x sets_in_object/one sets_in_object/one/2 sets_in_object/one/9
sets_in_object/one/q sets_in_object/two/b/x sets_in_object/zz partial_set/1 partial_set/x partial_set/x/y partial_object/constant
partial_object/x partial_object/constant/x partial_object/0 deep/one/two deep/one/zz deep/one/two/x deep/x deep/0 keyed_by_number/1
keyed_by_number/2.5 keyed_by_number/-1 keyed_by_number/1.0 keyed_by_number/7 keyed_by_number/x keyed_by_others/true keyed_by_others/null
keyed_by_others/1 colliding_keys/1 colliding_keys/2 double double/1 triple triple/x/y function_conflict/0 calls/0 calls/7 calls/x
undefined_rule/a/b undefined_rule/0 text/0 text/x number/0 null_rule/0 null_rule/x false_rule/x allow/x has_input/x reason/x echo/a
echo/a/b echo/0 input redact/pii.email redact/0 empty/x empty/0 other/names/a other/names/zz other/answer/x other/zz partly/failing
partly/failing/x partly/zz decision/allow decision/allow/x decision/nope decision/at/x uses_else/is uses_else/is/x else_chain/x
comprehensions/array comprehensions/array/0 comprehensions/array/x comprehensions/set/x comprehensions/object/x comprehensions/zz
computed/0 computed/99 literals/0 literals/9223372036854775807 literals/-9223372036854775808 base/reader base/x base/reader/0/action/x
with_data/none with_input/replaced escaped_keys/%0A escaped_keys/%3C%26%3E escaped_keys/%E2%80%A8 escaped_keys/%C3%A9
a%20package a%20package/with%2Fslash a%20package/with%2Fslash/0 a%20package/with%2Fslash/0/value a%20package/with%2Fslash/%30/list/1
a%20package/with/slash a+package a%2520package big/0 calls_conflict/x complete_conflict/x object_conflict/x every_one/x noted/x failing/x
allow%00 allow%ff %22allow %22%5D%7Ctrue x%22%5D;%20true%20%23 x%20%7C%20y a%0Ab a%5Cb a%5C a%60b %5B0%5D $x _ with allow%20 %61llow ALLOW
allow%2F number%2F0 number;x number? number?? number#x number%3Fpretty""".split()

# Cleaned or cut by a redirect, below the base path.
REDIRECTS = """/v1/data/ /v1/data// /v1/data/object/ /v1/data/object// /v1/data//object /v1/data/object//a /v1//data/object //v1/data/object
/v1/data/./object /v1/data/object/. /v1/data/object/./a /v1/data/object/.. /v1/data/object/../text /v1/data/.. /v1/data/../data/list
/v1/data/../../x /v1/data/../../../x /v1/./data/tenants/t/number?a=1&pretty /v1//data/tenants/t/number?x=<a> /v1/data/tenants/t/number/?pretty
/v1/data/%2e%2e/x /v1/data/%2E/x /v1/data/a%2F/ /v1/data/a%20b//c /v1/data/a%20b/ /v1/data/ü/ /v1/data/ü//x /v1/data/a"/ /v1/data/<a>/
/v1/data/<a>//b /v1/data/a%22/ /v1/data/a%00/ /v1/data/a%0a/ /v1/data/a&b/ /v1/data/a'b//c /v1/data/%2F /v1/data/%2F%2F /v1/data/%2Fobject
/v1/data/object%2F/a /v1/data/a%25/ /v1/data/a%25//b /v1/data/object/?input=x /v1/data/object//?pretty /v1/data/object/...
/v1/data/.../x /v1/data/.x/y /v0/data/ /v0/data//x /v0/data/object/ /v1/query/ /v1/query// /v1/policies/ /v1/policies//x /health/ /health// /v1/config/
/v1/config// /v1/status/ /v1/ /v1// /v2/ /nothing/ /nothing//x /v1/data/tenants/t/""".split()

NOT_FOUND = """/v1 /v2/data /v1/dataset /v1/data%2Ftenants /v1%2Fdata/tenants/t/number /V1/data /V1/DATA /v1/Data /nothing /v1/nothing /v0 /v0/query
/v0/dataset /data /v1/datum/x /v1/data.json /v1/policy /v1/health /healthz /v1/config/x /v1/status/x /query /v1/decision /v1/bundles
/v1/data;x /v1/%64ata/tenants/t/number /%76%31/data/list/0""".split()


def requests():
    for path in BASE:
        yield get(b"/v1/data/" + exact(path))
    for path in RULES:
        yield get(f"{T}/{path}")
    for path in RULES[:40]:
        yield post(f"{T}/{path}", '{"input":{"members":[1],"a":{"b":2}}}')
    for path in REDIRECTS:
        yield get(path)
        yield post(path, "{}")
    for path in REDIRECTS[:8]:
        for method in ("PUT", "DELETE", "HEAD", "OPTIONS"):
            yield send(method, path)
    for path in NOT_FOUND:
        yield get(path)
    for path in NOT_FOUND[:6]:
        yield post(path, "{}")
    # Bytes that are no UTF-8, as they are.
    for path in (b"/v1/data/object/\xfc", b"/v1/data/object/\xff", b"/v1/data/\xff/", b"/v1/data/\xc3\xbc//x", b"/v1/data/tenants/t/\xe9"):
        yield get(path)
    for length in (100, 1000, 8000):
        yield get("/v1/data/" + "a" * length)
        yield get("/v1/data/" + "a/" * (length // 2) + "a")
        yield get("/v1/data/list" + "/0" * (length // 2))
        yield get(T + "/number/" + "1/" * (length // 2) + "1")
    for path in ("object/a%2Fb", "list/01", "object/%22", "nothing", "%ff"):
        yield post("/v0/data/" + path)
    for path in RULES[::7]:
        yield post(f"{V0}/{path}", "{}")
