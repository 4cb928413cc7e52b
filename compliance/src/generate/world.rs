//! The plan of a case before its texts are written: packages, modules and the rules of each, in an
//! order in which every rule uses only earlier ones.

use crate::generate::types::Type;
use crate::random::Random;

/// How rules of a name are written, and the document that they make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One value.
    Complete(Type),
    /// `name if`: true.
    Holds,
    /// `name contains`.
    Members(Type),
    /// `name[key] := value`.
    Object(Type),
    /// `name[key][key] := value` and other references of several parts.
    Nested(Type),
    /// `name[key] contains value`.
    NestedSet(Type),
    /// A function.
    Function(Vec<Type>, Type),
}

impl Kind {
    /// The type of a reference to the name.
    pub(crate) fn content(&self) -> Option<Type> {
        match self {
            Self::Complete(content) => Some(content.clone()),
            Self::Holds => Some(Type::Bool),
            Self::Members(item) => Some(Type::set(item.clone())),
            Self::Object(item) => Some(Type::map(item.clone())),
            Self::Nested(item) => Some(Type::map(Type::map(item.clone()))),
            Self::NestedSet(item) => Some(Type::map(Type::set(item.clone()))),
            Self::Function(..) => None,
        }
    }
}

/// All rules of one name in one package.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) package: usize,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The modules that hold a definition.
    pub(crate) modules: Vec<usize>,
}

/// A module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Module {
    pub(crate) package: usize,
    /// Names that are imported under an alias: the alias, and the name.
    pub(crate) aliases: Vec<(String, usize)>,
    /// Packages that are imported, with the alias.
    pub(crate) packages: Vec<(String, usize)>,
    /// Whole lines.
    pub(crate) imports: Vec<String>,
    /// `and`, `or` and `not` in OPA's future syntax.
    pub(crate) logical: bool,
    /// Without `in`, `every`, `if` and `contains`.
    pub(crate) legacy: bool,
}

/// The plan of a case.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) v0: bool,
    /// Paths below `data`.
    pub(crate) packages: Vec<Vec<&'static str>>,
    pub(crate) modules: Vec<Module>,
    /// Every name uses those before it only.
    pub(crate) names: Vec<Name>,
}

const PACKAGES: &[&[&str]] =
    &[&["p"], &["p", "q"], &["p", "q", "r"], &["lib"], &["lib", "util"], &["app"], &["p", "x-y"]];

const RULES: &[&str] = &["allow", "deny", "found", "limit", "names", "roles", "level", "report"];

/// How many of a hundred cases are of Rego v0.
const OLD: usize = 10;

impl World {
    pub(crate) fn plan(random: &mut Random) -> Self {
        let mut world = Self { v0: random.chance(OLD), ..Self::default() };
        world.plan_modules(random);
        let count = random.between(4, 9);
        for index in 0..count {
            world.plan_name(random, index);
        }
        // Names are used by imports, so imports come last.
        for module in 0..world.modules.len() {
            world.plan_imports(random, module);
        }
        world
    }

    fn plan_modules(&mut self, random: &mut Random) {
        let mut packages = PACKAGES.to_vec();
        random.shuffle(&mut packages);
        packages.truncate(random.between(1, 3));
        self.packages = packages.into_iter().map(<[&str]>::to_vec).collect();
        let count = self.packages.len() + random.below(2);
        for index in 0..count {
            // Every package has a module, and one may have two.
            let package =
                if index < self.packages.len() { index } else { random.below(self.packages.len()) };
            let legacy = self.v0 && random.chance(40);
            let logical = !legacy && random.chance(15);
            self.modules.push(Module { package, logical, legacy, ..Module::default() });
        }
    }

    fn plan_name(&mut self, random: &mut Random, index: usize) {
        let home = random.below(self.modules.len());
        let Some(package) = self.modules.get(home).map(|module| module.package) else { return };
        let depth = random.below(2);
        let some = |random: &mut Random| Type::any(random, depth);
        let kind = match random.below(20) {
            0..4 => Kind::Complete(some(random)),
            4..8 => Kind::Holds,
            8..11 => Kind::Members(some(random)),
            11..13 => Kind::Object(some(random)),
            13 => Kind::Nested(Type::scalar(random)),
            14 => Kind::NestedSet(Type::scalar(random)),
            _ => {
                let arity = if random.chance(5) { 0 } else { random.between(1, 3) };
                let parameters = (0..arity).map(|_| Type::any(random, 1)).collect();
                let result = if random.chance(40) { Type::Bool } else { some(random) };
                Kind::Function(parameters, result)
            }
        };
        let word = if matches!(kind, Kind::Function(..)) { "f" } else { random.pick(RULES) };
        let mut modules = vec![home];
        for (other, module) in self.modules.iter().enumerate() {
            let again = if other == home { 45 } else { 25 };
            if module.package == package && random.chance(again) {
                modules.push(other);
            }
        }
        self.names.push(Name { package, name: format!("{word}{index}"), kind, modules });
    }

    fn plan_imports(&mut self, random: &mut Random, index: usize) {
        let Some(mut module) = self.modules.get(index).cloned() else { return };
        if self.v0 && !module.legacy {
            let line = random.pick(&["import rego.v1", "import future.keywords"]);
            module.imports.push(line.to_owned());
        } else if !self.v0 && !module.logical && random.chance(10) {
            let line = random.pick(&["import rego.v1", "import future.keywords.in"]);
            module.imports.push(line.to_owned());
        }
        if module.logical && !(self.v0 && module.imports.iter().any(|line| line.contains("v1"))) {
            let words = ["and", "or", "not"];
            module.imports.extend(words.map(|word| format!("import future.keywords.{word}")));
        } else {
            module.logical = false;
        }
        for (number, package) in self.packages.iter().enumerate() {
            if random.chance(35) {
                let path = path_text(package);
                // The last part is the default alias, and it must be a name.
                let plain = package.last().filter(|last| !last.contains('-'));
                match plain {
                    Some(last) if random.chance(50) && !module.takes(last) => {
                        module.imports.push(format!("import data{path}"));
                        module.packages.push(((*last).to_owned(), number));
                    }
                    _ => {
                        let alias = format!("pkg{number}");
                        module.imports.push(format!("import data{path} as {alias}"));
                        module.packages.push((alias, number));
                    }
                }
            }
        }
        for (number, name) in self.names.iter().enumerate() {
            if random.chance(12) {
                let path = self.packages.get(name.package).map(|path| path_text(path));
                let line = format!("import data{}.{}", path.unwrap_or_default(), name.name);
                if random.chance(50) && name.package != module.package {
                    module.imports.push(line);
                    module.aliases.push((name.name.clone(), number));
                } else {
                    let alias = format!("alias{number}");
                    module.imports.push(format!("{line} as {alias}"));
                    module.aliases.push((alias, number));
                }
            }
        }
        random.shuffle(&mut module.imports);
        if let Some(place) = self.modules.get_mut(index) {
            *place = module;
        }
    }

    /// The names that the one with this number may use.
    pub(crate) fn earlier(&self, rank: usize) -> impl Iterator<Item = (usize, &Name)> {
        self.names.iter().enumerate().take(rank)
    }
}

impl Module {
    fn takes(&self, alias: &str) -> bool {
        self.packages.iter().any(|(taken, _)| taken == alias)
    }
}

/// Keys as written in a reference after its first part.
pub(crate) fn path_text(path: &[&str]) -> String {
    path.iter()
        .map(|key| if key.contains('-') { format!("[\"{key}\"]") } else { format!(".{key}") })
        .collect()
}
