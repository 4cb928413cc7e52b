"""The requests, a file for each feature. A group's name is its file's, with spaces."""

from client import Request

from . import (
    bodies,
    compression,
    documents,
    errors,
    explain,
    http,
    limits,
    methods,
    operations,
    parameters,
    paths,
    query,
    randoms,
    v0,
    yaml,
)

MODULES = (documents, bodies, parameters, paths, methods, compression, yaml, errors, explain, v0, query, operations, http, limits)
# These are asked once more through the main root, where a tenant's document has the same path.
MAIN_ROOT = ("documents", "bodies", "parameters", "paths", "errors", "compression")
TENANT = b"/v1/data/tenants/t"


def all_groups(seed, count):
    """Every group's requests by its name, in the order in which they are sent."""
    groups = {}
    for module in MODULES:
        name = module.__name__.rpartition(".")[2]
        groups[name] = [Request(name, *row) for row in module.requests()]
    groups["main root"] = [
        Request("main root", request.method, request.path, request.headers, request.body, main_root=True)
        for name in MAIN_ROOT
        for request in groups[name]
        if through_main_root(request)
    ]
    groups["random"] = [Request("random", *row) for row in randoms.requests(seed, count)]
    return groups


def through_main_root(request):
    """POST to `allow` is a decision there, and only this tenant's documents are there."""
    path = request.path.partition(b"?")[0]
    below = path.removeprefix(TENANT)
    return path.startswith(TENANT) and below[:1] in (b"", b"/") and below not in (b"/allow", b"/%61llow") and b"//" not in path and b"/." not in path
