"""One request and its two answers, and how an accepted difference is taken out of them."""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

# A body is unpacked to see whether it has what a difference is about; larger ones are not.
UNPACKED_BYTES = 1 << 20


@dataclass(frozen=True)
class Exchange:
    """Each difference gives the next one an exchange in which the answers are closer together."""

    request: object
    opa: dict
    ours: dict
    # The parts that OPA answers to another request.
    ask_opa: Callable

    def differing(self):
        return [part for part in dict.fromkeys([*self.opa, *self.ours]) if self.opa.get(part) != self.ours.get(part)]

    def with_opa(self, **parts):
        return replace(self, opa=self.opa | parts)

    def with_ours(self, **parts):
        return replace(self, ours=self.ours | parts)

    def bodies(self):
        """Both bodies, where they differ."""
        pair = self.opa.get("body"), self.ours.get("body")
        return pair if pair[0] != pair[1] and None not in pair else None

    def take(self, parts):
        """The exchange in which these parts of OPA's answer are as ours."""
        return replace(self, opa=self.opa | {part: self.ours.get(part) for part in parts})

    def target(self):
        """The request's path and parameters, in exact bytes."""
        if self.request.raw is None:
            return self.request.path
        return self.request.raw.replace(b"{base}", b"").split(b"\r\n")[0].split(b" ", 1)[-1]

    def sent(self):
        """What the server reads as input or query: the parameters and the body, decoded."""
        body = self.request.body or b""
        if any("gzip" in header for header in self.request.headers):
            try:
                body = zlib.decompressobj(31).decompress(body, UNPACKED_BYTES)
            except zlib.error:
                body = b""
        return unquote_to_bytes(self.target().partition(b"?")[2].replace(b"+", b" ")) + b"\n" + body


@dataclass(frozen=True)
class Difference:
    """What differs, as a step that takes it out, and why it may. A step that does not apply
    returns the exchange as it is."""

    reason: str
    step: Callable

    def apply(self, exchange):
        return self.step(exchange)


def text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def fits(wanted, value):
    """Whether a part is as a regular expression (the whole of it) or, where it is `None`, missing."""
    if wanted is None or value is None:
        return wanted is value
    return re.fullmatch(wanted, text(value), re.DOTALL) is not None


def answers(reason, request, opa, ours, when=lambda exchange: True):
    """A request, by its name, to which OPA and we answer differently. `opa` and `ours` are parts and
    their regular expressions. Only the parts of `ours` may differ, and each must be as it says."""

    def step(exchange):
        asked = re.fullmatch(request, exchange.request.name(), re.DOTALL)
        if not asked or not set(exchange.differing()) & set(ours):
            return exchange
        if not all(fits(wanted, exchange.opa.get(part)) for part, wanted in opa.items()):
            return exchange
        empty = exchange.request.method == "HEAD" and exchange.ours.get("body") == b""
        if not all(fits(wanted, exchange.ours.get(part)) for part, wanted in ours.items() if part != "body" or not empty):
            return exchange
        return exchange.take(ours) if when(exchange) else exchange

    return Difference(reason, step)


def opa_body(reason, pattern, replacement):
    """A part of OPA's body that ours lacks, or has differently. `replacement` is as for re.sub."""
    pattern = re.compile(pattern, re.DOTALL)

    def step(exchange):
        if "body" not in exchange.differing() or not isinstance(exchange.opa.get("body"), bytes):
            return exchange
        return exchange.with_opa(body=pattern.sub(replacement, exchange.opa["body"]))

    return Difference(reason, step)


def as_another(reason, another, when=lambda exchange: True):
    """Ours answers as OPA answers another request: `another` makes it from the request, or gives `None`."""

    def step(exchange):
        request = another(exchange.request) if when(exchange) else None
        return exchange if request in (None, exchange.request) else replace(exchange, opa=exchange.ask_opa(request))

    return Difference(reason, step)
