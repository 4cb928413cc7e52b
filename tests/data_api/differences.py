"""The differences from OPA that are accepted, each with its reason.

A difference names the group, the requests (a regular expression that must match all of
`Request.name()`), and the parts of the answer that differ. Where `ours` is given, our part must
match it too, so that another mistake at the same place is not taken for this one. A difference
that no request shows any more has to be removed: the suite fails.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    reason: str
    group: str
    request: str
    parts: frozenset
    # Part -> regular expression that must match the whole part, as text.
    ours: tuple = ()

    def matches(self, request, part, value):
        if request.group != self.group or part not in self.parts:
            return False
        if not re.fullmatch(self.request, request.name(), re.DOTALL):
            return False
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        return all(re.fullmatch(wanted, text, re.DOTALL) for name, wanted in self.ours if name == part)


def difference(reason, group, request, parts, **ours):
    """Parts are separated by spaces; the expected parts of ours are given with - as _."""
    return Difference(
        reason, group, request, frozenset(parts.split()), tuple((name.replace("_", "-"), text) for name, text in ours.items())
    )


ACCEPTED = ()
