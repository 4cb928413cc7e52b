"""Where `check` and `opa check` may disagree, by what this side says, each with its reason."""

import re

REFUSED_HERE = [
    (
        re.compile(r"unsafe built-in function calls in expression: (http\.send|net\.lookup_ip_addr)"),
        "a worker has no network, so a policy that calls it is refused when it is loaded",
    ),
    (
        re.compile(r"--> \S*metadata\.json:"),
        "metadata.json is read for the bundle's version; OPA ignores the file",
    ),
]


def reason(ours):
    """Why a refusal that OPA does not make is right here; None if that is not known."""
    return next((why for pattern, why in REFUSED_HERE if pattern.search(ours)), None)
