"""Methods: which a route has, and how it refuses the others."""

from .rows import T, V0, send

ROUTES = (
    T + "/number", T, "/v1/data", V0 + "/number", "/v0/data", "/v1/query", "/v1/query/x", "/v1/policies", "/v1/policies/policy.rego",
    "/v1/policies/nope", "/v1/config", "/v1/status", "/health", "/health/x", "/v1/nothing", "/nothing", "/v1/config/x",
)  # fmt: skip

METHODS = "GET POST PUT DELETE PATCH OPTIONS HEAD TRACE CONNECT FOO get".split()


def requests():
    for route in ROUTES:
        for method in METHODS:
            yield send(method, route)
    for method in ("PUT", "PATCH", "DELETE"):
        yield send(method, T + "/number", '{"a":1}')
        yield send(method, "/v1/data", "{}")
        yield send(method, "/v1/policies/x", "package x")
        yield send(method, T + "/number", "not JSON")
    yield send("PATCH", "/v1/data", "[]")
    yield send("PATCH", "/v1/data", '[{"op":"add","path":"/x","value":1}]')
    yield send("OPTIONS", T + "/number", None, "Origin: http://example.com", "Access-Control-Request-Method: POST")
    yield send("POST", T + "/number", "{}", "X-HTTP-Method-Override: DELETE")
    yield send("GET", T + "/echo", '{"input":1}')
    yield send("GET", T + "/echo", "not JSON")
    yield send("GET", T + "/echo", "x", "Content-Encoding: gzip")
