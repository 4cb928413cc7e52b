"""Policies, configuration, status and health."""

from .rows import get

PATHS = """/v1/policies /v1/policies?pretty /v1/policies/policy.rego /v1/policies/other.rego /v1/policies/other.rego?pretty /v1/policies/empty.rego
/v1/policies/keys.rego /v1/policies/partly.rego /v1/policies/nope /v1/policies/nope?pretty /v1/policies/eu /v1/policies/eu/data.json /v1/policies/data.json
/v1/policies/..%2Fpolicy.rego /v1/policies/%2Fempty.rego /v1/policies/empty%2Erego /v1/policies/empty.rego%00 /v1/policies/%22 /v1/policies/%ff
/v1/policies/EMPTY.rego /v1/policies/a%20b /v1/policies/<a> /v1/policies/a%2Fb /v1/policies/0 /v1/policies/policy.rego/x /v1/policies?metrics
/v1/config /v1/config?pretty /v1/config?pretty=false /v1/config?nope /v1/status /v1/status?pretty /health /health?bundles /health?bundle /health?bundles=true
/health?plugins /health?plugins&exclude-plugin=x /health?pretty /health?bundles=false /health/live /health/x%22 /health/x/y /health/%ff /health/0 /health?nope""".split()


def requests():
    for path in PATHS:
        yield get(path)
    for path in ("/v1/policies", "/v1/config", "/health"):
        yield get(path, "Accept: text/html")
        yield get(path, "Accept: application/json;q=0")
        yield get(path, "If-None-Match: *")
