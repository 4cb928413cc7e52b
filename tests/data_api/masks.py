"""Masks of decision logs: the same bundle and the same requests to the real OPA and to ours. OPA's log
and our stream have to have the same input, result, `erased` and `masked`; an event that OPA drops
because its mask is faulty has no input in ours."""

import argparse
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

DEADLINE = 60  # seconds; it only bounds a broken test

POLICY = """package tenants.t
import rego.v1
allow := {"allow": true, "reason": "because", "redact": ["a", "b"], "more": {"x": [1, 2]}}
"""

# Each case has an input of its own, which selects its rules.
MASK = """package system.log
import rego.v1
chosen := [c | some c in data.cases; c.input == input.input][0]
mask := chosen.rules if not chosen.as_set
mask := {rule | some rule in chosen.rules} if chosen.as_set
"""


def upsert(path, *value):
    return {"op": "upsert", "path": path, **({"value": value[0]} if value else {})}


def remove(path):
    return {"op": "remove", "path": path}


def rows():
    """Pairs of an input and rules. Inputs that are equal get a member that tells them apart."""
    nested = {"a": {"b": {"c": 1, "d": [1, {"e": 2}, [3, 4]]}}, "s": "text", "n": None}
    for rules in (
        ["/input/a"], ["/input/a/b"], ["/input/a/b/c"], ["/input/s"], ["/input/n"], ["/input/s/x"],
        ["/input/n/x"], ["/input/nobody"], ["/input/a/nobody/x"], ["/input"], ["/input/"], ["/input//a"],
        ["/input/a/b/d/0"], ["/input/a/b/d/1/e"], ["/input/a/b/d/2/1"], ["/input/a/b/d/2"], ["/input/a/b/d/9"],
        ["/input/a/b/d/-1"], ["/input/a/b/d/+1"], ["/input/a/b/d/00"], ["/input/a/b/d/-0"], ["/input/a/b/d/x"],
        ["/input/a/b/d/0", "/input/a/b/d/0"], ["/input/a", "/input/a/b"], ["/input", "/input/a"],
        ["/input/a/b/d/2/0", "/input/a/b/d/2/0", "/input/a/b/d/2/0"],
        [upsert("/input/a", 7)], [upsert("/input/a/b/c", {"x": [1]})], [upsert("/input/new", "v")],
        [upsert("/input/new/deep/er", "v")], [upsert("/input/s/x", 1)], [upsert("/input/n/x", 1)],
        [upsert("/input/a/b/d/0", "v")], [upsert("/input/a/b/d/9", "v")], [upsert("/input/a/b/d/9/x", "v")],
        [upsert("/input/a/b/d/1/f", "v")], [upsert("/input/a/b/d/x", "v")], [upsert("/input/a/b/d/-1", "v")],
        [upsert("/input/a/b/d/2/1", None)], [upsert("/input/a")], [upsert("/input", {"all": "new"})],
        [upsert("/input")], [upsert("/input", 1), "/input/a"], [upsert("/input"), upsert("/input/a", 1)],
        [upsert("/input", {"p": {}}), upsert("/input/p/q", 1), "/input/p/q"],
        [remove("/input/a/b"), upsert("/input/a/b/z", 1)], [upsert("/input/a", {"b": 1}), remove("/input/a/b")],
        [{"op": "remove", "path": "/input/s", "value": 1}], [{"op": "remove", "path": "/input/s", "more": 1}],
        ["/result/reason"], ["/result"], ["/result/redact"], ["/result/redact/0"], ["/result/redact/7"],
        ["/result/more/x/1"], [upsert("/result/reason", "***")], [upsert("/result/redact/1", "z")],
        [upsert("/result/redact", [])], [upsert("/result/reason/x", 1)], [upsert("/result/new", 1)],
        ["/result/allow"], ["/result", "/result/reason"], ["/input/s", "/result/reason", upsert("/input/s", 1)],
        [upsert("/result", {"allow": True, "reason": "r2", "redact": ["q"]})],
        ["/nd_builtin_cache"], ["/nd_builtin_cache/x"], [upsert("/nd_builtin_cache", 1)],
        # Faults.
        ["input/a"], [""], ["/"], ["/labels/a"], ["/input/%zz"], ["/input/%"], ["/Input/a"], ["/inputs"],
        [1], [None], [["/input/a"]], [{}], [{"op": "remove"}], [{"path": "/input/a"}], [{"op": "add", "path": "/input/a"}],
        [{"op": "", "path": "/input/a"}], [{"op": 1, "path": "/input/a"}], [{"op": "remove", "path": 1}],
        ["/input/a", "/bad"], "/input/a", {"op": "remove", "path": "/input/a"}, 1, None, True,
        [], {},
    ):
        yield dict(nested), rules, False
    named = {"a b": 1, "a%20b": 2, "c/d": 3, "é": 4, "x+y": 5, "k:@&=$": 6, "p;q": 7, "": {"": 8}, "%41": 9, "A": 10, "~.-_": 11}
    for path in ("a b", "a%20b", "c/d", "c%2Fd", "é", "x+y", "k:@&=$", "p;q", "", "/", "%41", "A", "~.-_", "!*'()"):
        yield dict(named), [f"/input/{path}"], False
        yield dict(named), [upsert(f"/input/{path}", "v")], False
    for rules in (["/input/0"], ["/input/1/x"], ["/input/0", "/input/0"], [upsert("/input/0", 9)], [upsert("/input/1/y", 9)],
                  [upsert("/input/9", 9)], [upsert("/input/x", 9)], ["/input"], ["/input/9"]):
        yield ["first", {"x": 1}, "last"], rules, False
    for number, scalar in enumerate(("text", 12345678901234567890, False, 1.50)):
        yield scalar, [["/input"], ["/input/a"], [upsert("/input/a", 1)], [upsert("/input", "x")]][number], False
    for rules in (
        [upsert("/input/s", 1), "/input/s"], ["/input/s", "/input/a", "/input/n"],
        [upsert("/input/s", 1), upsert("/input/s", 2)], [remove("/input/a"), upsert("/input/a", 1)],
        ["/input/a/b/d/1", "/input/a/b/d/0"], [upsert("/input/z", [2, 1]), "/result/reason"],
    ):
        yield dict(nested), rules, True


def cases():
    found = []
    for number, (document, rules, as_set) in enumerate(rows()):
        if isinstance(document, dict):
            document["case"] = number
        elif isinstance(document, list):
            document = document + [number]
        found.append({"input": document, "rules": rules, "as_set": as_set})
    return found


def ready(port, path, log):
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)  # between two checks
    sys.exit(f"the server is not ready:\n{Path(log).read_text()}")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def ask(port, case):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("POST", "/v1/data/tenants/t/allow" if port != ask.ours else "/tenants/t/v1/data/tenants/t/allow",
                       json.dumps({"input": case["input"]}), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    assert answer.status == 200 and body["result"]["reason"] == "because", (case, body)
    return body["decision_id"]


def opa_events(log):
    """The events by the id of their decision, and the ids of none."""
    events = {}
    for line in Path(log).read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            entry = json.loads(line)
            if entry.get("msg") == "Decision Log":
                events[entry["decision_id"]] = entry
    return events


def listen(port, events):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("GET", "/v1/stream/decisions", headers={"Accept": "text/event-stream"})
    answer = connection.getresponse()
    connected = threading.Event()

    def read():
        for line in answer:
            if line.startswith(b"data: "):
                message = json.loads(line[6:])
                if message["type"] == "connected":
                    connected.set()
                else:
                    events[message["data"]["event_id"]] = message["data"]

    threading.Thread(target=read, daemon=True).start()
    assert connected.wait(DEADLINE)


def wait_for(found):
    until = time.monotonic() + DEADLINE
    while not found():
        assert time.monotonic() < until, "waited in vain for the last event"
        time.sleep(0.05)  # between two checks


def decision_of(result):
    """What is left of a decision in a masked result: whether it allows is always told."""
    result = result if isinstance(result, dict) else {}
    redact, reason = result.get("redact"), result.get("reason")
    return {
        "allow": True,
        "redact": [path for path in redact if isinstance(path, str)] if isinstance(redact, list) else [],
        "reason": reason if isinstance(reason, str) else None,
    }


def compare(case, theirs, ours):
    """What differs; empty where nothing does."""
    if theirs is None:
        expected = {"input": None, "omitted": "mask_failed", "decision": decision_of(None), "erased": [], "masked": []}
    else:
        # An input that the mask erased is absent; one that is null after it is there.
        omitted = None if "input" in theirs else "mask"
        expected = {"input": theirs.get("input"), "omitted": omitted, "decision": decision_of(theirs.get("result")),
                    "erased": theirs.get("erased", []), "masked": theirs.get("masked", [])}
    found = {"input": ours["input"], "omitted": ours.get("input_omitted"), "decision": ours["decision"],
             "erased": ours.get("erased", []), "masked": ours.get("masked", [])}
    return [f"{key}: OPA {expected[key]!r}, ours {found[key]!r}" for key in expected if expected[key] != found[key]]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--opa", required=True)
    arguments.add_argument("--enforcer", required=True)
    options = arguments.parse_args()
    every = cases()
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as started:
        bundle = Path(directory, "tenants", "t")
        bundle.mkdir(parents=True)
        (bundle / "policy.rego").write_text(POLICY)
        (bundle / "mask.rego").write_text(MASK)
        (bundle / "data.json").write_text(json.dumps({"cases": every}))
        opa_port, our_port = free_port(), free_port()
        ask.ours = our_port

        def start(command, log, variables):
            out = started.enter_context(open(log, "w"))
            process = subprocess.Popen(command, cwd=directory, env={**os.environ, **variables}, stdout=out, stderr=out)
            started.callback(process.wait)
            started.callback(process.terminate)

        opa_log, our_log = f"{directory}/opa.log", f"{directory}/enforcer.log"
        start([options.opa, "run", "--server", "--addr", f"127.0.0.1:{opa_port}", "--skip-version-check", "--log-level", "info",
               "--log-format", "json", "--set", "decision_logs.console=true", "--bundle", str(bundle)], opa_log, {})
        start([str(Path(options.enforcer).resolve())], our_log, {
            "ENFORCER_PORT": str(our_port), "BUNDLES_DIR": f"{directory}/tenants", "ENFORCER_NAMESPACE": "open",
            # Deadlines are not compared, and other suites keep the machine busy.
            "ENFORCER_EVAL_TIMEOUT_MS": "20000",
        })
        ready(opa_port, "/health?bundles", opa_log)
        ready(our_port, "/health?bundles", our_log)
        ours = {}
        listen(our_port, ours)
        # The last one is a sentinel, whose event both tell.
        sentinel = {"input": {"case": "none of them"}}
        asked = [(case, ask(opa_port, case), ask(our_port, case)) for case in [*every, sentinel]]
        wait_for(lambda: asked[-1][1] in opa_events(opa_log) and len(ours) == len(asked))
        theirs = opa_events(opa_log)
        failed = dropped = changed = 0
        for case, opa_id, our_id in asked:
            dropped += opa_id not in theirs
            changed += bool(ours[our_id].get("erased") or ours[our_id].get("masked"))
            differences = compare(case, theirs.get(opa_id), ours[our_id])
            if differences:
                failed += 1
                print(f"{json.dumps(case)}\n  " + "\n  ".join(differences))
    print(f"masks: {len(asked)} events, {changed} of them masked, {dropped} with a faulty mask, {failed} different from OPA's")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
