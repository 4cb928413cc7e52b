//! A gateway's questions: patterns and string functions over paths and headers.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Case, Numbers, Policy};

const CASES: usize = 48;

const COLLECTIONS: [&str; 10] = [
    "orders",
    "invoices",
    "devices",
    "sensors",
    "customers",
    "reports",
    "alerts",
    "tickets",
    "payments",
    "contracts",
];
const HOSTS: [&str; 5] =
    ["gateway.example", "eu.api.example", "us.api.example", "a.b.api.example", "elsewhere.example"];
const AGENTS: [&str; 4] =
    ["Mozilla/5.0 (X11; Linux x86_64)", "curl/8.9", "EvilBot/1.0 (+crawler)", "SensorFleet/3.2"];
const QUERIES: [&str; 5] = [
    "limit=10&sort=asc",
    "customer_email=ada@example.org&limit=1",
    "q=bob@example.com",
    "q=bob@example&page=2",
    "phone=4711&notify_email=off",
];

const MODULE: &str = r#"# What a gateway asks: is there a route for this method and path, on a host that is served, with a
# scope that the caller has? Whatever may hold a secret or a person's address must not be logged.
package tenants.tenant_a

default allow := false

allow if {
	served
	not banned
	some name in matching
	required(name) in scopes
}

method := upper(input.request.method)

path := lower(trim_suffix(input.request.path, "/"))

headers[lower(name)] := value if some name, value in input.request.headers

served if {
	some pattern in data.hosts
	glob.match(pattern, ["."], lower(headers.host))
}

banned if {
	some word in data.banned
	contains(lower(headers["user-agent"]), word)
}

scopes := {scope |
	some scope in split(headers["x-scopes"], " ")
	scope != ""
}

# The routes that the request may be of. A prefix is looked at first, because it costs less.
matching contains name if {
	some name, route in data.routes
	route.method == method
	startswith(path, route.prefix)
	regex.match(route.pattern, path)
}

required(name) := replace(name, ".", ":")

redact contains concat(".", ["headers", lower(name)]) if {
	allow
	some name, _ in input.request.headers
	regex.match(`^(authorization|cookie|x-(secret|token)(-[a-z]+)*)$`, lower(name))
}

redact contains concat(".", ["query", pair[0]]) if {
	allow
	some part in split(input.request.query, "&")
	pair := split(part, "=")
	personal(pair)
}

personal(pair) if glob.match("*email*", [], pair[0])

personal(pair) if regex.match(`^[^@]+@[^@]+\.[a-z]{2,}$`, pair[1])

reason := sprintf("%s %s is %s for %d scopes", [method, path, concat(", ", matching), count(scopes)]) if {
	allow
} else := sprintf("Host %s is not served", [lower(headers.host)]) if {
	not served
} else := "This agent is banned" if {
	banned
} else := sprintf("There is no route %s %s", [method, path]) if {
	count(matching) == 0
} else := sprintf("%s needs another scope than %s", [concat(", ", matching), concat(" ", scopes)])
"#;

/// A part of a route's path.
#[derive(Clone, Copy, Debug)]
enum Segment {
    Literal(&'static str),
    /// `v1`, `v2` or `v3`.
    Version,
    /// One to eight digits.
    Number,
    /// Letters, digits and hyphens, with a letter first; two to sixteen of them.
    Slug,
}

impl Segment {
    const fn pattern(self) -> &'static str {
        match self {
            Self::Literal(text) => text,
            Self::Version => "v[1-3]",
            Self::Number => "[0-9]{1,8}",
            Self::Slug => "[a-z][a-z0-9-]{1,15}",
        }
    }

    /// Whether the pattern must match the whole text.
    fn fits(self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => text == literal,
            Self::Version => ["v1", "v2", "v3"].contains(&text),
            Self::Number => {
                (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
            }
            Self::Slug => {
                let is_inside =
                    |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                (2..=16).contains(&text.len())
                    && text.starts_with(|first: char| first.is_ascii_lowercase())
                    && text.bytes().all(is_inside)
            }
        }
    }
}

#[derive(Debug)]
struct Route {
    /// The collection and the operation on it. With `:` for `.`, the scope that it needs.
    name: String,
    method: &'static str,
    segments: Vec<Segment>,
}

impl Route {
    fn fits(&self, method: &str, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        self.method == method
            && path.starts_with('/')
            && parts.len() == self.segments.len()
            && self.segments.iter().zip(parts).all(|(segment, part)| segment.fits(part))
    }

    fn pattern(&self) -> String {
        let path = self.segments.iter().map(|segment| format!("/{}", segment.pattern()));
        format!("^{}$", path.collect::<String>())
    }
}

pub(super) fn policy() -> Policy {
    let routes: Vec<Route> = COLLECTIONS.into_iter().flat_map(routes_of).collect();
    let listed = routes.iter().map(|route| {
        let said = json!({"method": route.method, "prefix": "/api/", "pattern": route.pattern()});
        (route.name.clone(), said)
    });
    let data = json!({
        "routes": listed.collect::<Map<String, Value>>(),
        "hosts": ["gateway.example", "*.api.example"],
        "banned": ["evilbot", "scanner"],
    });
    let mut numbers = Numbers(2);
    let cases = (0..CASES).map(|number| case(number, &routes, &mut numbers)).collect();
    Policy { name: "strings", cases, module: MODULE.into(), data: data.to_string().into() }
}

fn routes_of(collection: &'static str) -> Vec<Route> {
    use Segment::{Literal, Number, Slug, Version};

    let start = [Literal("api"), Version, Literal(collection)];
    let route = |does: &str, method, rest: &[Segment]| Route {
        name: format!("{collection}.{does}"),
        method,
        segments: [&start, rest].concat(),
    };
    vec![
        route("list", "GET", &[]),
        route("read", "GET", &[Number]),
        // A name that the previous pattern does not match, and the reverse.
        route("find", "GET", &[Slug]),
        route("create", "POST", &[]),
        route("tag", "PUT", &[Number, Literal("tags"), Slug]),
    ]
}

fn case(number: usize, routes: &[Route], numbers: &mut Numbers) -> Case {
    let collection = numbers.one_of(&COLLECTIONS);
    let (method, rest) = numbers.one_of(&[
        ("get", ""),
        ("GET", "/"),
        ("get", "/4711"),
        ("Get", "/Blue-Widget-7"),
        ("POST", ""),
        ("put", "/12/tags/cold-Storage/"),
        ("DELETE", "/4711"),
        ("get", "/123456789"),
    ]);
    let path = format!("/API/v{}/{collection}{rest}", 1 + number % 4 % 3);
    let host = if number % 6 == 5 { numbers.one_of(&HOSTS) } else { "EU.api.example" };
    let agent = numbers.one_of(&AGENTS);
    let query = numbers.one_of(&QUERIES);
    let does = if number % 5 == 4 { "read" } else { "list read find create tag" };
    let scopes = does.split(' ').map(|does| format!("{collection}:{does}"));
    let scopes: BTreeSet<String> = scopes.collect();
    let secret = numbers.one_of(&["Authorization", "X-Token-Session", "Accept", "X-Tokens"]);
    let input = json!({"request": {
        "method": method,
        "path": path,
        "query": query,
        "headers": {
            "Host": host,
            "User-Agent": agent,
            "X-Scopes": scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
            secret: "4bd1d696",
        },
    }});

    // From here on, the policy's rules in Rust.
    let method = method.to_uppercase();
    let path = path.strip_suffix('/').unwrap_or(&path).to_lowercase();
    let host = host.to_lowercase();
    // A star stands for one label.
    let is_served = host == "gateway.example"
        || host.strip_suffix(".api.example").is_some_and(|label| !label.contains('.'));
    let is_banned = agent.starts_with("EvilBot");
    let matching: Vec<&str> = routes
        .iter()
        .filter(|route| route.fits(&method, &path))
        .map(|route| route.name.as_str())
        .collect();
    let is_granted = matching.iter().any(|name| scopes.contains(&name.replace('.', ":")));
    let allow = is_served && !is_banned && is_granted;
    let names = matching.join(", ");
    let reason = if allow {
        format!("{method} {path} is {names} for {} scopes", scopes.len())
    } else if !is_served {
        format!("Host {host} is not served")
    } else if is_banned {
        "This agent is banned".to_owned()
    } else if matching.is_empty() {
        format!("There is no route {method} {path}")
    } else {
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        format!("{names} needs another scope than {}", scopes.join(" "))
    };
    let redact = if allow { redactions(secret, query) } else { Vec::new() };
    Case { input, allow, redact, reason: Some(reason) }
}

fn redactions(header: &str, query: &str) -> Vec<String> {
    let is_secret = ["Authorization", "X-Token-Session"].contains(&header);
    let header = is_secret.then(|| format!("headers.{}", header.to_lowercase()));
    let personal = query.split('&').filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        let is_address = value.split_once('@').is_some_and(|(_, domain)| domain.contains('.'));
        (name.contains("email") || is_address).then(|| format!("query.{name}"))
    });
    header.into_iter().chain(personal).collect::<BTreeSet<String>>().into_iter().collect()
}
