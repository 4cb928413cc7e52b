"""Sends the same requests to OPA and to another server, and compares the answers.

The other server is a tenant's root of ours, or with --opa-only a second OPA, which shows that
the comparison itself finds nothing where nothing is. Ends with 1 if an answer differs in a way
that differences.py does not list, or if a listed difference no longer occurs.
"""

import argparse
import gzip
import sys
import time
from collections import Counter

import groups
from client import Request, ask
from differences import ACCEPTED
from exchange import Exchange
from normalise import fields

# A handler of OPA panics, and closes the connection, when a body that is not gzip comes to a reader
# that has read none before. Good ones are sent until its pool has a reader that has.
GOOD_GZIP = Request("", "POST", b"/v1/data", ("Content-Encoding: gzip",), gzip.compress(b"{}"))
GOOD_GZIP_TRIES = 20
# The beginning of a part that differs, as it is printed.
SHOWN = 600


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--opa", required=True, help="host:port of OPA")
    parser.add_argument("--other", required=True, help="host:port of the server that is compared")
    parser.add_argument("--base", default="", help="base path of the other server, such as /tenants/t")
    parser.add_argument("--opa-only", action="store_true", help="the other one is an OPA too: no difference is accepted")
    parser.add_argument("--only", action="append", default=[], help="a group to run; may be repeated")
    parser.add_argument("--seed", type=int, default=1, help="of the random requests")
    parser.add_argument("--count", type=int, default=300, help="how many random requests")
    parser.add_argument("--list", action="store_true", help="print the requests and send none")
    parser.add_argument("--show", type=int, default=40, help="how many differing answers to print")
    return parser.parse_args()


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def shown(value):
    if not isinstance(value, bytes):
        return repr(value)
    text = repr(value[:SHOWN])[1:]
    return text if len(value) <= SHOWN else f"{text} and {len(value) - SHOWN} bytes more"


def around(first, second):
    """Two long parts from shortly before the place where they begin to differ."""
    if not (isinstance(first, bytes) and isinstance(second, bytes)):
        return first, second
    same = next((i for i, (a, b) in enumerate(zip(first, second)) if a != b), min(len(first), len(second)))
    start = max(0, same - 80) if same > SHOWN // 2 else 0
    return first[start:], second[start:]


def ask_opa(opa, request):
    answer = ask(opa, request)
    for _ in range(GOOD_GZIP_TRIES):
        if not answer.trouble or not any("gzip" in header for header in request.headers):
            break
        ask(opa, GOOD_GZIP)
        answer = ask(opa, request)
    return answer


class Comparison:
    def __init__(self, options):
        self.options = options
        self.opa, self.other = address(options.opa), address(options.other)
        self.base = options.base.encode()
        self.accepted = () if options.opa_only else ACCEPTED
        self.occurred = Counter()
        self.printed = 0

    def opa_fields(self, request):
        return fields(request, ask_opa(self.opa, request), b"")

    def differing(self, request):
        """The parts in which the answers differ and may not, as text."""
        expected = self.opa_fields(request)
        other = ask_opa(self.other, request) if self.options.opa_only else ask(self.other, request, self.base)
        exchange = Exchange(request, expected, fields(request, other, self.base), self.opa_fields)
        applied = []
        for entry in self.accepted:
            if not exchange.differing():
                break
            closer = entry.apply(exchange)
            if closer != exchange:
                applied.append(entry)
                exchange = closer
        found = []
        for part in exchange.differing():
            left, right = around(exchange.opa.get(part), exchange.ours.get(part))
            found.append(f"  {part}\n    OPA:   {shown(left)}\n    other: {shown(right)}")
        # A request that nobody answers shows nothing.
        if "trouble" in expected and not found:
            found.append(f"  OPA does not answer: {expected['trouble']}")
        if not found:
            self.occurred.update(applied)
        return found

    def run(self, name, requests):
        failed, accepted, started = 0, self.occurred.total(), time.monotonic()
        for request in requests:
            found = self.differing(request)
            if found:
                failed += 1
                self.printed += 1
                if self.printed <= self.options.show:
                    print(f"{name}: {request.name()}", *found, sep="\n")
        accepted = self.occurred.total() - accepted
        note = f", {accepted} documented differences" if accepted else ""
        print(f"{name}: {len(requests) - failed} of {len(requests)}{note} ({time.monotonic() - started:.1f} s)", flush=True)
        return failed

    def stale(self):
        """Differences that no request of the whole suite shows any more."""
        return [] if self.options.only else [entry for entry in self.accepted if not self.occurred[entry]]


def main():
    options = arguments()
    chosen = groups.all_groups(options.seed, options.count)
    unknown = set(options.only) - chosen.keys()
    if unknown:
        sys.exit(f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(chosen)}")
    if options.only:
        chosen = {name: requests for name, requests in chosen.items() if name in options.only}
    if options.list:
        for name, requests in chosen.items():
            for request in requests:
                print(f"{name}: {request.name()}")
        return 0
    comparison = Comparison(options)
    total = failed = 0
    for name, requests in chosen.items():
        total += len(requests)
        failed += comparison.run(name, requests)
    stale = comparison.stale()
    for entry in stale:
        print(f"this documented difference no longer occurs: {entry.reason}")
    print(f"{total - failed} passed, {failed + len(stale)} failed")
    return 1 if failed or stale else 0


if __name__ == "__main__":
    sys.exit(main())
