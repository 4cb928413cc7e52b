"""Compares `check` and `test` with OPA's, bundle by bundle, and prints both.

Arguments: this side's binary, OPA's, and directories of bundles. A bundle is a directory with a file
in it; a directory of bundles has none. Fails where one side accepts what the other refuses and
differences.py does not say why, where tests end differently, and where passing tests cover different
lines.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from differences import reason

RESULT = re.compile(
    r"^(data\.\S.*: (PASS|FAIL|ERROR|SKIPPED)|(PASS|FAIL|ERROR|SKIPPED): \d+/\d+|\S+:\d+:|  +\S.*: (PASS|FAIL))$"
)
DURATION = re.compile(r" \([0-9.]+(ns|µs|ms|s)\)$")


def run(command, cwd=None):
    done = subprocess.run(command, cwd=cwd, capture_output=True, timeout=120)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    return done.returncode, text.strip("\n")


def bundles(directory):
    entries = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    has_file = any(path.is_file() for path in directory.iterdir())
    if has_file or not entries:
        return [directory]
    return [bundle for path in entries if path.is_dir() for bundle in bundles(path)]


def results(text):
    """How often each line about a result is there. OPA's order is that in which tests end."""
    found, is_explained = Counter(), False
    for line in text.splitlines():
        if line == "FAILURES":
            is_explained = True
        elif is_explained and re.match(r"^(PASS|FAIL|SKIPPED|ERROR): \d+/\d+$", line):
            is_explained = False
        line = DURATION.sub("", line)
        if not is_explained and RESULT.match(line):
            found[line] += 1
    return found


def indented(text):
    return "".join(f"      {line}\n" for line in text.splitlines())


def compare(ours, opa, bundle):
    """What is wrong, as a list of texts."""
    wrong = []
    our_code, our_text = run([ours, "check", str(bundle), "--open"])
    opa_code, opa_text = run([opa, "check", "--bundle", str(bundle)])
    word = {0: "accepts"}
    print(f"{bundle}: OPA {word.get(opa_code, 'refuses')}, here {word.get(our_code, 'refuses')}")
    if our_code or opa_code:
        print("    opa check\n" + indented(opa_text) + "    check\n" + indented(our_text))
    if (our_code == 0) != (opa_code == 0):
        why = reason(our_text) if our_code == 1 else None
        if why:
            print(f"    known: {why}")
        else:
            wrong.append(f"{bundle}: OPA exits with {opa_code}, check with {our_code}")
    has_tests = any(bundle.rglob("*_test.rego"))
    if our_code or opa_code or not has_tests:
        return wrong
    our_code, our_text = run([ours, "test", ".", "--open", "--verbose"], cwd=bundle)
    opa_code, opa_text = run([opa, "test", "--bundle", ".", "--verbose"], cwd=bundle)
    our_results, opa_results = results(our_text), results(opa_text)
    count = sum(1 for line in our_results if line.startswith("data."))
    print(f"    {count} tests: OPA exits with {opa_code}, test with {our_code}")
    if our_results != opa_results:
        missing = sorted((opa_results - our_results).elements())
        more = sorted((our_results - opa_results).elements())
        wrong.append(f"{bundle}: OPA has {missing}, test has {more}")
    if (our_code == 0) != (opa_code == 0):
        wrong.append(f"{bundle}: opa test exits with {opa_code}, test with {our_code}")
    if our_code or opa_code:
        return wrong
    _, our_text = run([ours, "test", ".", "--open", "--coverage"], cwd=bundle)
    _, opa_text = run([opa, "test", "--bundle", ".", "--coverage"], cwd=bundle)
    if our_text != opa_text:
        is_same = json.loads(our_text) == json.loads(opa_text)
        how = "is written differently" if is_same else "differs"
        wrong.append(f"{bundle}: the coverage {how}:\n{our_text}\n{opa_text}")
    return wrong


def main():
    ours, opa, *directories = sys.argv[1:]
    ours = str(Path(ours).resolve())
    found = [bundle for directory in directories for bundle in bundles(Path(directory))]
    wrong = [text for bundle in found for text in compare(ours, opa, bundle)]
    for text in wrong:
        print(f"DIFFERENT  {text}")
    print(f"{len(found)} bundles, {len(wrong)} differences that are not listed")
    sys.exit(bool(wrong) or not found)


main()
