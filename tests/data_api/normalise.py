"""What two answers must have in common: everything but ids, timings and where they were asked."""

import re

from unordered import ordered

IDENTIFIER = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# The names of metrics are compared, their values are not.
METRIC = re.compile(
    rb'("(?:timer_[a-z_]+_ns|counter_[a-z_]+|75%|90%|95%|99%|99\.9%|99\.99%|count|max|mean|median|min|stddev)": ?)'
    rb"-?[0-9.]+(?:e[+-]?[0-9]+)?"
)
# How this suite starts OPA, so that its answers have a decision id.
CONFIGURED = re.compile(rb'"decision_logs": ?\{\s*"console": ?true\s*\},\s*')
# Names that the compiler makes for variables count on through all modules.
LOCAL = re.compile(rb"__local[0-9]+__")


def fields(request, answer, base):
    """The parts of an answer that are compared, by name."""
    if answer.trouble:
        return {"trouble": answer.trouble}
    if request.main_root:
        base = b""
    headers = answer.headers
    return {
        "status": answer.status,
        "Content-Type": headers.get("content-type"),
        "Content-Encoding": headers.get("content-encoding"),
        "Allow": headers.get("allow"),
        "Vary": headers.get("vary"),
        "Location": without_base(headers.get("location"), base.decode()),
        "body": body(request, answer.body, base),
    }


def without_base(location, base):
    if location is not None and base and location.startswith(base):
        return location[len(base) :] or "/"
    return location


def body(request, text, base):
    if base:
        text = text.replace(b'<a href="' + base, b'<a href="')
    text = IDENTIFIER.sub(b"an-id", text)
    asked = request.path if request.raw is None else request.raw
    if asked.startswith(b"/v1/config"):
        text = CONFIGURED.sub(b"", text)
    if b"metrics" in asked or b"instrument" in asked:
        text = METRIC.sub(rb"\g<1>0", text)
    explained = b"explain" in asked or asked.startswith(b"/v1/policies")
    if explained or b"rego_unsafe_var_error" in text:
        text = ordered(text)
    if explained:
        text = renumber(text)
    return text


def renumber(text):
    """Counts the compiler's variables from 0 in the order in which they appear."""
    seen = {}
    return LOCAL.sub(lambda found: seen.setdefault(found[0], b"__local%d__" % len(seen)), text)
