//! Chance, and documents by it.

/// Numbers that look random and are the same in every run.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % limit
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

pub(super) const KEYS: &[&str] = &["a", "b", "c", "xs", "m", "n", "s"];
pub(super) const STRINGS: &[&str] = &["a", "b", "ab", "", "xs", "1", "a.b"];
pub(super) const NUMBERS: &[&str] = &["0", "1", "2", "3", "1.5", "10"];
/// What only documents have.
const ODD_NUMBERS: &[&str] = &[
    "-1",
    "-0.5",
    "9007199254740993",
    "-9223372036854775808",
    "18446744073709551615",
    "1e3",
    "1.0",
    "-0.0",
    "1e300",
];

/// A JSON text.
fn document(chance: &mut Chance, depth: usize) -> String {
    match chance.below(if depth == 0 { 6 } else { 11 }) {
        0 => "true".to_owned(),
        1 => "false".to_owned(),
        2 => {
            if chance.one_in(3) {
                "null".to_owned()
            } else {
                "1".to_owned()
            }
        }
        3 if chance.one_in(4) => chance.pick(ODD_NUMBERS).to_owned(),
        3 => chance.pick(NUMBERS).to_owned(),
        4 | 5 => format!("{:?}", chance.pick(STRINGS)),
        6..=8 => {
            let items: Vec<String> =
                (0..chance.below(4)).map(|_| document(chance, depth - 1)).collect();
            format!("[{}]", items.join(","))
        }
        _ => object(chance, depth - 1),
    }
}

fn object(chance: &mut Chance, depth: usize) -> String {
    let count = chance.below(5);
    let mut fields = std::collections::BTreeMap::new();
    for _ in 0..count {
        let key = if chance.one_in(8) { chance.pick(STRINGS) } else { chance.pick(KEYS) };
        fields.insert(key, document(chance, depth));
    }
    let fields: Vec<String> =
        fields.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// An object that has most of what policies ask for, of the kind that they expect.
pub(super) fn likely(chance: &mut Chance) -> String {
    let mut fields = Vec::new();
    for key in KEYS {
        let value = match *key {
            _ if chance.one_in(5) => continue,
            _ if chance.one_in(5) => document(chance, 2),
            "xs" => {
                let items: Vec<String> =
                    (0..chance.below(4)).map(|_| document(chance, 1)).collect();
                format!("[{}]", items.join(","))
            }
            "m" => object(chance, 1),
            "n" => chance.pick(NUMBERS).to_owned(),
            "s" => format!("{:?}", chance.pick(STRINGS)),
            _ => document(chance, 2),
        };
        fields.push(format!("{key:?}:{value}"));
    }
    // The interpreter takes a number for such a key, where it is one of data.
    for key in ["0", "1", "2"] {
        if chance.one_in(6) {
            fields.push(format!("{key:?}:{}", document(chance, 1)));
        }
    }
    format!("{{{}}}", fields.join(","))
}
