//! Policies by chance of several packages whose names could be taken for one another's.

use super::chance::{Chance, NUMBERS};
use super::json;
use super::runs::{Case, Run};

/// The tenant's own comes first, because it is the one that is asked.
const PACKAGES: &[&str] = &[
    "tenants.a",
    "tenants.a",
    "tenants.a.lib",
    "tenants.a.lib.sub",
    "tenants.a.lib.sub.lib",
    "tenants.a.x.json",
    "tenants.a.x.lib",
    "tenants.a.x[\"é-b\"]",
];

/// Those whose names are something else's too.
const ODD_PACKAGES: &[&str] = &[
    "tenants.a.json",
    "tenants.a.count",
    "tenants.a.strings",
    "tenants.a.v1",
    "tenants.a.input",
    "tenants.a.d",
    "tenants.a.data.tenants.a",
    "tenants.a.lib.tenants.a",
];

const ALIASES: &[&str] = &["p", "q", "other", "mine"];
const ODD_ALIASES: &[&str] =
    &["lib", "sub", "x", "json", "count", "strings", "v1", "f", "k", "concat"];
const VALUES: &[&str] = &["k", "y", "zz", "ok"];
const FUNCTIONS: &[&str] = &["f", "g", "marshal", "h"];
const PARAMETERS: &[&str] = &["a", "b", "c"];
/// Of documents; some are the names of packages and rules.
const KEYS: &[&str] = &["k", "y", "x", "f", "lib", "sub", "json", "zz", "é", "日本", "a b"];
const STRINGS: &[&str] = &["k", "y", "lib", "é", "日本", "a b", "", "1"];
const BUILT_IN: &[(&str, usize)] =
    &[("count", 1), ("json.marshal", 1), ("strings.count", 2), ("object.get", 3), ("is_string", 1)];

/// A JSON text.
fn document(chance: &mut Chance, depth: usize) -> String {
    match chance.below(if depth == 0 { 5 } else { 9 }) {
        0 => "true".to_owned(),
        1 => chance.pick(&["false", "null"]).to_owned(),
        2 => chance.pick(NUMBERS).to_owned(),
        3 | 4 => format!("{:?}", chance.pick(STRINGS)),
        5 | 6 => {
            let most = if chance.one_in(12) { 40 } else { 4 };
            let items: Vec<String> =
                (0..chance.below(most)).map(|_| document(chance, depth - 1)).collect();
            format!("[{}]", items.join(","))
        }
        _ => object(chance, depth - 1),
    }
}

/// An object that has most of what is asked for.
fn object(chance: &mut Chance, depth: usize) -> String {
    let mut fields = Vec::new();
    for key in KEYS {
        if !chance.one_in(3) {
            fields.push(format!("{key:?}:{}", document(chance, depth)));
        }
    }
    format!("{{{}}}", fields.join(","))
}

/// What there may be in a policy that the gate should not let through. One thing at a time, or what
/// is refused for the one would hide the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Odd {
    Nothing,
    /// A package whose name is something else's too.
    Package,
    /// Imports under such names.
    Alias,
    /// Variables of such names.
    Variable,
    /// Rules of packages by other names than the whole ones.
    Reference,
    /// One operand too many.
    Operand,
    /// Rule heads that are references.
    Head,
    /// Rules that may need themselves.
    Order,
}

impl Odd {
    fn by(chance: &mut Chance) -> Self {
        match chance.below(12) {
            0 | 1 => Self::Package,
            2 | 3 => Self::Alias,
            4 => Self::Variable,
            5 => Self::Reference,
            6 => Self::Operand,
            7 => Self::Head,
            8 => Self::Order,
            _ => Self::Nothing,
        }
    }
}

/// The rules of one name.
#[derive(Clone, Debug)]
struct Thing {
    module: usize,
    name: String,
    /// None, of what is no function.
    parameters: usize,
}

/// What has a name of some length where a policy is written.
#[derive(Clone, Debug)]
struct Named {
    text: String,
    parameters: usize,
}

/// Where a module's rules are written.
#[derive(Debug)]
struct Writer<'a> {
    chance: &'a mut Chance,
    odd: Odd,
    values: Vec<Named>,
    functions: Vec<Named>,
    variables: Vec<String>,
    /// Whether it is within a comprehension or a `not`, where the gate lets no other one through.
    is_within: bool,
}

impl Writer<'_> {
    fn is_now(&mut self, odd: Odd, one_in: usize) -> bool {
        self.odd == odd && self.chance.one_in(one_in)
    }

    fn constant(&mut self) -> String {
        match self.chance.below(6) {
            0 => "true".to_owned(),
            1 => format!("{:?}", self.chance.pick(STRINGS)),
            2 => self.chance.pick(&["[1]", "{\"k\": 1}", "{\"é\": \"k\"}", "[[1], 2]"]).to_owned(),
            _ => self.chance.pick(&["1", "2", "3"]).to_owned(),
        }
    }

    fn reference(&mut self, may_find: bool) -> String {
        let (known, bound) = (self.values.len(), self.variables.len());
        let mut text = match self.chance.below(8) {
            0 | 1 if bound > 0 => self.variables[self.chance.below(bound)].clone(),
            2 => "input".to_owned(),
            3 => format!("data.{}", self.chance.pick(&["d", "e", "lib", "missing"])),
            _ if known > 0 => self.values[self.chance.below(known)].text.clone(),
            _ => "input.k".to_owned(),
        };
        let is_document = text == "input" || text.matches('.').count() == 1;
        for _ in 0..self.chance.below(2) + usize::from(is_document) {
            // The gate lets no other keys through behind a rule's whole name.
            let is_whole_name = text.starts_with("data.tenants") && !self.chance.one_in(20);
            let key = match self.chance.below(if is_whole_name { 2 } else { 12 }) {
                0 => "[\"é\"]".to_owned(),
                1 => "[\"a b\"]".to_owned(),
                2 if may_find && !text.contains('[') => "[_]".to_owned(),
                3 if !text.starts_with("data") => "[input.k]".to_owned(),
                4 => "[0]".to_owned(),
                _ => format!(".{}", self.chance.pick(&["k", "y", "x", "f", "lib", "sub", "zz"])),
            };
            text.push_str(&key);
        }
        text
    }

    fn call(&mut self, depth: usize, may_find: bool) -> String {
        let count = self.functions.len();
        let function = if count > 0 && !self.chance.one_in(10) {
            self.functions[self.chance.below(count)].clone()
        } else {
            let (name, parameters) = BUILT_IN[self.chance.below(BUILT_IN.len())];
            Named { text: name.to_owned(), parameters }
        };
        // One more is what the result is compared with.
        let parameters = function.parameters + usize::from(self.is_now(Odd::Operand, 6));
        let operands: Vec<String> = (0..parameters).map(|_| self.term(depth, may_find)).collect();
        format!("{}({})", function.text, operands.join(", "))
    }

    fn term(&mut self, depth: usize, may_find: bool) -> String {
        if depth == 0 {
            return if self.chance.one_in(3) { self.constant() } else { self.reference(may_find) };
        }
        match self.chance.below(12) {
            0 => self.constant(),
            1..=3 => self.reference(may_find),
            4 => format!("[{}, {}]", self.term(depth - 1, may_find), self.term(0, may_find)),
            5 => format!("{{\"k\": {}}}", self.term(depth - 1, may_find)),
            6 if !self.is_within => {
                self.is_within = true;
                let known = self.variables.len();
                let body = self.body(depth - 1, 2);
                let text = format!("[{} | {body}]", self.term(depth - 1, false));
                self.variables.truncate(known);
                self.is_within = false;
                text
            }
            _ => self.call(depth - 1, may_find),
        }
    }

    fn variable(&mut self) -> String {
        let name = match self.is_now(Odd::Variable, 3) {
            true => self.chance.pick(ODD_ALIASES).to_owned(),
            false => format!("v{}", 2 + self.variables.len()),
        };
        self.variables.push(name.clone());
        name
    }

    fn statement(&mut self, depth: usize) -> String {
        match self.chance.below(12) {
            0 | 1 => {
                let was_within = std::mem::replace(&mut self.is_within, true);
                let text = format!("not {}", self.term(depth, false));
                self.is_within = was_within;
                text
            }
            2 | 3 => {
                let operator = self.chance.pick(&["==", "!=", "<", "<="]);
                format!("{} {operator} {}", self.term(depth, true), self.term(0, true))
            }
            4 => {
                let value = self.term(depth, true);
                format!("{} := {value}", self.variable())
            }
            5 => {
                let members = self.reference(false);
                format!("some {} in {members}", self.variable())
            }
            6 => format!("{} in {}", self.term(0, true), self.reference(true)),
            7..=9 => self.call(depth, true),
            _ => self.term(depth, true),
        }
    }

    fn body(&mut self, depth: usize, most: usize) -> String {
        let statements: Vec<String> =
            (0..1 + self.chance.below(most)).map(|_| self.statement(depth)).collect();
        statements.join("; ")
    }

    /// One of the definitions of a rule or a function.
    fn definition(&mut self, head: &str, form: usize, variables: &[&str]) -> String {
        let own = |writer: &mut Self| {
            writer.variables = variables.iter().map(|name| (*name).to_owned()).collect();
        };
        own(self);
        match form {
            0 | 1 => format!("{head} if {{ {} }}\n", self.body(2, 2)),
            2 => format!("{head} if {}\n", self.term(2, true)),
            3 => {
                let body = self.body(1, 2);
                format!("{head} := {} if {{ {body} }}\n", self.term(2, false))
            }
            4 => {
                let (one, other) = (self.constant(), self.constant());
                let first = self.body(1, 2);
                own(self);
                let second = self.body(1, 1);
                format!("{head} := {one} if {{ {first} }} else := {other} if {{ {second} }}\n")
            }
            _ => format!("{head} := {}\n", self.term(2, false)),
        }
    }

    fn rule(&mut self, name: &str) -> String {
        if self.is_now(Odd::Head, 4) {
            let key = self.chance.pick(&[".k", "[\"k\"]", "[input.k]", ".lib.k"]);
            let form = self.chance.below(6);
            return self.definition(&format!("{name}{key}"), form, &[]);
        }
        let mut text = String::new();
        match self.chance.below(7) {
            0 if name != "allow" => {
                for _ in 0..1 + self.chance.below(2) {
                    self.variables.clear();
                    let body = self.body(1, 2);
                    let value = self.term(1, false);
                    text.push_str(&format!("{name} contains {value} if {{ {body} }}\n"));
                }
            }
            form => {
                if self.chance.one_in(4) {
                    text.push_str(&format!("default {name} := {}\n", self.constant()));
                }
                text.push_str(&self.definition(name, form, &[]));
                if form < 3 && self.chance.one_in(3) {
                    text.push_str(&self.definition(name, form, &[]));
                }
            }
        }
        text
    }

    fn function(&mut self, name: &str, parameters: usize) -> String {
        let mut text = String::new();
        // Those of several definitions often have several results.
        let form = self.chance.below(6);
        for _ in 0..if form < 3 { 1 + self.chance.below(2) } else { 1 } {
            let patterns: Vec<String> = (0..parameters)
                .map(|index| match self.chance.below(8) {
                    0 => self.constant_pattern(),
                    _ => PARAMETERS[index].to_owned(),
                })
                .collect();
            let names: Vec<&str> = PARAMETERS
                .iter()
                .copied()
                .filter(|name| patterns.iter().any(|p| p == name))
                .collect();
            let head = format!("{name}({})", patterns.join(", "));
            if let ([one, .., other], true) = (names.as_slice(), self.chance.one_in(3)) {
                text.push_str(&format!("{head} if {one} < {other}\n"));
            } else {
                text.push_str(&self.definition(&head, form, &names));
            }
        }
        text
    }

    fn constant_pattern(&mut self) -> String {
        self.chance.pick(&["1", "\"k\"", "_", "true"]).to_owned()
    }
}

/// The packages that there are.
fn packages(chance: &mut Chance, odd: Odd) -> Vec<&'static str> {
    let mut packages = vec![PACKAGES[0]];
    for package in &PACKAGES[1..] {
        if chance.one_in(if *package == PACKAGES[0] { 6 } else { 2 }) {
            packages.push(package);
        }
    }
    if odd == Odd::Package {
        packages.push(chance.pick(ODD_PACKAGES));
    }
    packages
}

/// What the packages state, in an order in which a rule needs later ones only.
fn things(chance: &mut Chance, packages: &[&str]) -> Vec<Thing> {
    let mut things: Vec<Thing> = Vec::new();
    for (module, package) in packages.iter().enumerate() {
        for name in VALUES.iter().chain(FUNCTIONS) {
            let is_there = things
                .iter()
                .any(|thing| thing.name == *name && packages[thing.module] == *package);
            if is_there || chance.one_in(2) {
                continue;
            }
            let parameters = match *name {
                _ if VALUES.contains(name) => 0,
                // One more than the built-in function has.
                "marshal" if !chance.one_in(3) => 2,
                _ => 1 + chance.below(PARAMETERS.len()),
            };
            let place = chance.below(things.len() + 1);
            things.insert(place, Thing { module, name: (*name).to_owned(), parameters });
        }
    }
    for name in ["reason", "redact", "allow"] {
        if name == "allow" || chance.one_in(2) {
            things.insert(0, Thing { module: 0, name: name.to_owned(), parameters: 0 });
        }
    }
    things
}

/// A module's imports, and what there is under their names: with its place among all things, if it
/// is one of them.
fn imports(
    chance: &mut Chance,
    module: usize,
    packages: &[&str],
    things: &[Thing],
    odd: Odd,
) -> (String, Vec<(Option<usize>, Named)>) {
    let mut text = String::new();
    let mut found = Vec::new();
    let mut aliases: Vec<String> = Vec::new();
    if chance.one_in(4) {
        text.push_str("import rego.v1\n");
        aliases.push("v1".to_owned());
    }
    for usual in ALIASES.iter().take(chance.below(4)) {
        let place = chance.below(things.len());
        let thing = &things[place];
        let package = packages[thing.module];
        // Of its own package and those above it, a module can only import rules.
        let is_whole = packages[module].starts_with(package) || chance.one_in(2);
        let form = chance.below(6);
        let (path, last) = match form {
            0 => {
                let path =
                    chance.pick(&["data.d", "data.d.lib", "data.lib", "input.lib", "input.x"]);
                (path.to_owned(), path.rsplit('.').next().unwrap_or(path))
            }
            _ if package == packages[module] && !chance.one_in(10) => continue,
            _ if is_whole => (format!("data.{package}.{}", thing.name), thing.name.as_str()),
            _ => (format!("data.{package}"), package.rsplit('.').next().unwrap_or(package)),
        };
        let is_identifier = last.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let alias = match chance.below(4) {
            0 | 1 if odd == Odd::Alias => chance.pick(ODD_ALIASES).to_owned(),
            1 | 2 if is_identifier => last.to_owned(),
            _ => (*usual).to_owned(),
        };
        // A name of the package's own rules would not be loaded, nor a name for two imports.
        let is_own =
            |thing: &Thing| packages[thing.module] == packages[module] && thing.name == alias;
        let is_taken = aliases.contains(&alias) || things.iter().any(is_own);
        if is_taken && !chance.one_in(40) {
            continue;
        }
        text.push_str(&match alias == last {
            true => format!("import {path}\n"),
            false => format!("import {path} as {alias}\n"),
        });
        match form {
            0 => {
                for key in ["", ".k", ".y", ".x", ".zz"] {
                    let text = format!("{alias}{key}");
                    found.push((None, Named { text, parameters: 0 }));
                }
            }
            _ if is_whole => {
                let named = Named { text: alias.clone(), parameters: thing.parameters };
                found.push((Some(place), named));
            }
            // Of a package, the gate lets functions through.
            _ => {
                for (place, thing) in things.iter().enumerate() {
                    let is_let_through =
                        thing.parameters > 0 || (odd == Odd::Reference && chance.one_in(2));
                    if packages[thing.module] == package && is_let_through {
                        let text = format!("{alias}.{}", thing.name);
                        found.push((Some(place), Named { text, parameters: thing.parameters }));
                    }
                }
            }
        }
        aliases.push(alias);
    }
    (text, found)
}

/// The names that things have by themselves in a package.
fn own_names(
    chance: &mut Chance,
    own: &str,
    packages: &[&str],
    things: &[Thing],
    odd: Odd,
) -> Vec<(Option<usize>, Named)> {
    let mut found = Vec::new();
    for (place, Thing { module, name, parameters }) in things.iter().enumerate() {
        let package = packages[*module];
        let named = |text| (Some(place), Named { text, parameters: *parameters });
        if package == own {
            found.push(named(name.clone()));
        }
        if package != own || chance.one_in(3) {
            found.push(named(format!("data.{package}.{name}")));
        }
        // A package within this one, without an import: the gate lets functions through.
        let within = package.strip_prefix(own).and_then(|rest| rest.strip_prefix('.'));
        if let Some(within) = within
            && (*parameters > 0 || (odd == Odd::Reference && chance.one_in(2)))
        {
            found.push(named(format!("{within}.{name}")));
        }
    }
    found
}

/// The modules of a policy.
fn policy(chance: &mut Chance) -> Vec<(String, String)> {
    let odd = Odd::by(chance);
    let packages = packages(chance, odd);
    let things = things(chance, &packages);
    let mut modules = Vec::new();
    for (module, package) in packages.iter().enumerate() {
        let (imports, mut known) = imports(chance, module, &packages, &things, odd);
        known.extend(own_names(chance, package, &packages, &things, odd));
        let mut text = format!("package {package}\n{imports}");
        for (place, thing) in things.iter().enumerate().filter(|(_, thing)| thing.module == module)
        {
            let mut writer = Writer {
                chance: &mut *chance,
                odd,
                values: vec![],
                functions: vec![],
                variables: vec![],
                is_within: false,
            };
            for (needed, named) in &known {
                // Otherwise rules would mostly need themselves.
                if needed.is_some_and(|needed| needed <= place) && !writer.is_now(Odd::Order, 8) {
                    continue;
                }
                match named.parameters {
                    0 => writer.values.push(named.clone()),
                    _ => writer.functions.push(named.clone()),
                }
            }
            text.push_str(&match thing.parameters {
                0 => writer.rule(&thing.name),
                parameters => writer.function(&thing.name, parameters),
            });
        }
        modules.push((format!("{module}.rego"), text));
    }
    modules
}

/// A policy by chance, its data, and what it is asked.
pub(super) fn case(chance: &mut Chance) -> Case {
    let modules = policy(chance);
    let data = format!(
        "{{\"d\":{},\"e\":{},\"lib\":{}}}",
        object(chance, 2),
        document(chance, 2),
        object(chance, 1)
    );
    let inputs = (0..4).map(|_| json(&object(chance, 2))).collect();
    Case { tenant: "a".to_owned(), modules, data: json(&data), inputs }
}

#[test]
fn a_name_is_never_taken_for_another_thing() {
    Run::over(0..600, case).check();
}
