//! Random cases over the whole language: modules, data and inputs, all determined by a seed.
//!
//! Expressions are built to a type, so that most modules load and most evaluations have a value.
//! Faults come in two ways: documents have defects, and some cases are broken afterwards in one
//! place.

mod broken;
mod calls;
mod expression;
mod rule;
mod statement;
mod types;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::Question;
use crate::random::Random;
use crate::value::Value;
use types::{Place, Type};
use world::World;

/// Writes one module after the other, rule by rule.
struct Generator {
    random: Random,
    world: World,
    /// The current module.
    module: usize,
    /// The current name: earlier ones may be used.
    rank: usize,
    /// Local variables, innermost last.
    scopes: Vec<Vec<(String, Type)>>,
    /// How many variables the rule has.
    fresh: usize,
    /// Above 0 within a negation, where no variable may be bound.
    closed: usize,
    input: Vec<Place>,
    base: Vec<Place>,
}

/// A case, and how it was made.
#[derive(Debug, Clone)]
pub struct Case {
    /// The seed that makes it again.
    pub seed: u64,
    /// The question for the engines.
    pub question: Question,
    /// Whether it was broken on purpose, so that it need not load.
    pub broken: bool,
}

/// The time that generated policies read: 2023-11-14T22:13:20Z.
const NOW: i64 = 1_700_000_000_000_000_000;

/// How many of a hundred cases are broken on purpose.
const BROKEN: usize = 12;

/// Makes the case of a seed.
#[must_use]
pub fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let world = World::plan(&mut random);
    let mut generator = Generator {
        random,
        world,
        module: 0,
        rank: 0,
        scopes: Vec::new(),
        fresh: 0,
        closed: 0,
        input: types::places(&types::input()),
        base: types::places(&types::base()),
    };
    let mut files = generator.files();
    let broken = generator.random.chance(BROKEN);
    if broken {
        broken::damage(&mut generator.random, &mut files);
    }
    let data = generator.data();
    let mut inputs: Vec<_> = (0..generator.random.between(2, 4))
        .map(|_| Some(types::document(&mut generator.random, &types::input())))
        .collect();
    if generator.random.chance(10) {
        inputs.push(None);
    }
    let question = Question {
        files,
        v0: generator.world.v0,
        strict: generator.random.chance(10),
        data: Some(data),
        now: NOW,
        paths: generator.paths(),
        inputs,
        ..Question::default()
    };
    Case { seed, question, broken }
}

impl Generator {
    fn files(&mut self) -> BTreeMap<String, String> {
        let mut texts = Vec::new();
        for module in &self.world.modules {
            let path = self.world.packages.get(module.package).map(|path| world::path_text(path));
            // The first part of a package has no dot before it.
            let path = path.unwrap_or_default();
            let path = path.strip_prefix('.').unwrap_or(&path).to_owned();
            texts.push(format!("package {path}\n\n{}\n", module.imports.join("\n")));
        }
        for rank in 0..self.world.names.len() {
            let Some(name) = self.world.names.get(rank).cloned() else { continue };
            self.rank = rank;
            for (index, (module, text)) in self.definitions(&name).into_iter().enumerate() {
                if let Some(file) = texts.get_mut(module) {
                    let space = if index == 0 { "\n" } else { "" };
                    file.push_str(&format!("{space}{text}\n"));
                }
            }
        }
        texts
            .into_iter()
            .enumerate()
            .map(|(index, text)| (format!("m{index}.rego"), text))
            .collect()
    }

    /// Base documents: those that policies read, and some beside and within packages.
    fn data(&mut self) -> Value {
        let mut root = BTreeMap::new();
        root.insert(Value::text("base"), types::document(&mut self.random, &types::base()));
        for package in self.world.packages.clone() {
            if !self.random.chance(40) {
                continue;
            }
            let extra = self.random.pick(&["extra", "q", "r", "util", "doc"]);
            let extra_type = Type::any(&mut self.random, 1);
            let mut value = types::document(&mut self.random, &extra_type);
            value = Value::Object(BTreeMap::from([(Value::text(extra), value)]));
            for key in package.iter().skip(1).rev() {
                value = Value::Object(BTreeMap::from([(Value::text(*key), value)]));
            }
            if let Some(first) = package.first() {
                root.entry(Value::text(*first)).or_insert(value);
            }
        }
        Value::Object(root)
    }

    /// Every document of rules, some parts of it, every package, and now and then everything.
    fn paths(&mut self) -> Vec<Vec<String>> {
        let mut paths = BTreeSet::new();
        let owned = |path: &[&str]| path.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        for name in &self.world.names {
            let Some(content) = name.kind.content() else { continue };
            let Some(package) = self.world.packages.get(name.package) else { continue };
            let mut path = owned(package);
            path.push(name.name.clone());
            if matches!(content, Type::Map(_) | Type::Record(_)) && self.random.chance(30) {
                let mut part = path.clone();
                part.push(self.random.pick(types::KEYS).to_owned());
                paths.insert(part);
            }
            paths.insert(path);
        }
        for package in &self.world.packages {
            if self.random.chance(60) {
                let keep = self.random.between(1, package.len());
                paths.insert(package.iter().take(keep).map(|key| (*key).to_owned()).collect());
            }
        }
        if self.random.chance(8) {
            paths.insert(Vec::new());
        }
        paths.into_iter().collect()
    }
}
