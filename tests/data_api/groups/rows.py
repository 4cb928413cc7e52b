"""How the tables of requests are written: method, path, headers and body, as exact bytes."""

T = "/v1/data/tenants/t"
V0 = "/v0/data/tenants/t"


def exact(text):
    """A text as bytes; what is no ASCII goes out as UTF-8."""
    return text if isinstance(text, bytes) else text.encode()


def get(path, *headers):
    return "GET", exact(path), headers


def post(path, body=None, *headers):
    return "POST", exact(path), headers, None if body is None else exact(body)


def send(method, path, body=None, *headers):
    return method, exact(path), headers, None if body is None else exact(body)


def raw(text):
    return "", b"", (), None, exact(text)
