"""Whether the metrics of a scrape, of docs/operations.md, of the alert rules and of the dashboard are
the same ones. Started by tests/metrics/run: what to compare, a scrape, and where to write the
dashboard's expressions as rules, which promtool can check."""

import json
import re
import sys

what, scrape, expressions_file = sys.argv[1:]
mistakes = []


def expect(condition, words):
    if not condition:
        mistakes.append(words)


operations = open("docs/operations.md").read()
rules = open("deploy/prometheus/rules.yaml").read()
dashboard = json.load(open("deploy/grafana/dashboard.json"))

# | `name` | type | `label`, `label` | present | meaning |
documented = {}
for line in operations.splitlines():
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    if len(cells) == 5 and re.fullmatch(r"`(enforcer|process)_\w+`", cells[0]):
        name, kind, labels, present, _ = cells
        documented[name.strip("`")] = (kind, set(re.findall(r"`(\w+)`", labels)), present)

# A family's name stands in its TYPE, also where nothing of it is there yet.
families, samples = {}, {}
for line in open(scrape):
    if match := re.match(r"# TYPE (\S+) (\S+)", line):
        families[match[1]] = match[2]
    elif match := re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+", line):
        samples.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2] or ""))


def family(sample):
    for suffix in ("_bucket", "_sum", "_count"):
        if documented.get(sample.removesuffix(suffix), ("",))[0] == "histogram":
            return sample.removesuffix(suffix)
    return sample


def expressions(panel):
    for target in panel.get("targets", []):
        yield target["expr"]
    for inner in panel.get("panels", []):
        yield from expressions(inner)


queries = [query for panel in dashboard["panels"] for query in expressions(panel)]
queries += [note["expr"] for note in dashboard["annotations"]["list"] if "expr" in note]

if what == "scrape":
    for name, kind in families.items():
        expect(name in documented, f"{name} is not in the table of docs/operations.md")
        if name in documented:
            expect(kind == documented[name][0], f"{name} is a {kind}, not a {documented[name][0]}")
    seen = {}
    for sample, labels in samples.items():
        seen.setdefault(family(sample), set()).update(labels - {"le"})
    for name, (_, labels, present) in documented.items():
        if present == "always":
            expect(name in seen, f"{name} should always be there, and is not in the scrape")
        if name in seen:
            expect(seen[name] == labels, f"{name} has the labels {seen[name]}, not {labels}")
elif what == "uses":
    variables = [str(it.get("definition", "")) for it in dashboard["templating"]["list"]]
    for text in [rules, *queries, *variables]:
        # Without what stands in quotes, which may be anything.
        for used in re.findall(r"\b(?:enforcer|process)_\w+", re.sub(r"'[^']*'|\"[^\"]*\"", "", text)):
            expect(family(used) in documented, f"{used} is not in the table of docs/operations.md")
    expect(len(queries) > 20, "the dashboard has next to no expressions")
elif what == "alerts":
    has = set(re.findall(r"- alert: (\w+)", rules))
    told = set(re.findall(r"^\| `(Enforcer\w+)` \|", operations, re.M))
    expect(has == told, f"only in one of rules and docs/operations.md: {has ^ told}")
    severities = dict(re.findall(r"- alert: (\w+)\n(?:.*\n)*?\s+severity: (\w+)", rules))
    for name, severity in re.findall(r"^\| `(Enforcer\w+)` \| (\w+) \|", operations, re.M):
        expect(severities.get(name) == severity, f"{name} has the severity {severities.get(name)}")
    for rule in rules.split("- alert: ")[1:]:
        expect("summary:" in rule and "description:" in rule, f"not told what to do: {rule[:40]}")

with open(expressions_file, "w") as file:
    file.write("groups:\n  - name: dashboard\n    rules:\n")
    for number, query in enumerate(queries):
        query = query.replace("$__rate_interval", "5m").replace("$__range", "1h")
        file.write(f"      - record: dashboard:{number}\n        expr: {json.dumps(query)}\n")

print("\n".join(mistakes))
sys.exit(bool(mistakes))
