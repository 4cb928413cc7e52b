"""Lists of OPA's answers whose order changes from run to run are brought into one order.

The texts of strings and numbers stay as they are written, so that they are still compared byte
for byte; only white space is lost, and a text that is no JSON is left alone.
"""

import re

TOKEN = re.compile(rb'\s*([{}\[\],:]|"(?:[^"\\]|\\.)*"|[^\s{}\[\],:"]+)', re.DOTALL)
LOCAL_NUMBER = re.compile(rb"__local([0-9]+)__")


class NotJson(ValueError):
    pass


class Reader:
    """Reads JSON into bytes (scalars), lists (arrays) and dicts (objects), keys as they are written."""

    def __init__(self, text):
        self.tokens = TOKEN.findall(text)
        # A text with anything but tokens is no JSON.
        if b"".join(self.tokens) != re.sub(rb'("(?:[^"\\]|\\.)*")|\s+', lambda found: found[1] or b"", text):
            raise NotJson
        self.at = 0

    def take(self):
        if self.at == len(self.tokens):
            raise NotJson
        self.at += 1
        return self.tokens[self.at - 1]

    def whole(self):
        value = self.value()
        if self.at != len(self.tokens):
            raise NotJson
        return value

    def value(self):
        token = self.take()
        if token == b"[":
            return self.items(b"]", list(), lambda items: items.append(self.value()))
        if token == b"{":
            return self.items(b"}", dict(), self.member)
        if token in b"}],:":
            raise NotJson
        return token

    def member(self, members):
        key = self.take()
        if self.take() != b":" or key in members:
            raise NotJson
        members[key] = self.value()

    def items(self, end, into, add):
        if self.at < len(self.tokens) and self.tokens[self.at] == end:
            self.at += 1
            return into
        while True:
            add(into)
            token = self.take()
            if token == end:
                return into
            if token != b",":
                raise NotJson


def write(value):
    if isinstance(value, dict):
        return b"{" + b",".join(key + b":" + write(member) for key, member in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(write, value)) + b"]"
    return value


def by_number(text):
    """The compiler's variables in the order of their numbers, before others."""
    found = LOCAL_NUMBER.search(text)
    return (0, int(found[1]), text) if found else (1, 0, text)


def order(value):
    """Sorts the bindings of events, modules, and variables that are not safe."""
    if isinstance(value, list):
        for item in value:
            order(item)
    elif isinstance(value, dict):
        for key, member in value.items():
            order(member)
            if not isinstance(member, list):
                continue
            # The key of a binding decides, not its value.
            if key == b'"locals"':
                member.sort(key=lambda binding: by_number(write(binding.get(b'"key"', b""))) if isinstance(binding, dict) else (2, 0, b""))
            elif key == b'"result"' and member and all(isinstance(item, dict) and b'"raw"' in item for item in member):
                member.sort(key=lambda module: write(module.get(b'"id"', b"")))
            elif key == b'"errors"' and all(isinstance(item, dict) and item.get(b'"code"') == b'"rego_unsafe_var_error"' for item in member):
                member.sort(key=write)


def ordered(text):
    try:
        value = Reader(text).whole()
    except (NotJson, RecursionError):
        return text
    order(value)
    return (b"indented: " if text.startswith(b"{\n") else b"") + write(value)
