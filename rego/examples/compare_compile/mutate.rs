//! Random changes of policies that exist.

use crate::Files;

/// SplitMix64: the same seed makes the same cases.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }
}

/// Words, numbers, strings, signs and space, each as it is written.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |char: char| char.is_alphanumeric() || char == '_';
        let length = if first == '"' {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, char)| {
                let ends = (*char == '"' && !escaped) || *char == '\n';
                escaped = *char == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |(index, char)| index + char.len_utf8())
        } else if is_word(first) {
            rest.find(|char| !is_word(char)).unwrap_or(rest.len())
        } else if first.is_whitespace() {
            rest.find(|char: char| !char.is_whitespace()).unwrap_or(rest.len())
        } else if let Some(sign) =
            [":=", "==", "!=", "<=", ">="].iter().find(|sign| rest.starts_with(**sign))
        {
            sign.len()
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    tokens
}

/// Texts for random insertions, besides tokens of the same and of another file.
const INSERTS: &[&str] = &[
    ":=",
    "=",
    "==",
    "not ",
    "some x ",
    "some k, v in ",
    "every y in ",
    "x",
    "input",
    "data",
    "_",
    "[x | x := input.y[_]]",
    "{v: k | some k, v in input}",
    "{f(x), count(x)}",
    "count",
    "print(x)",
    " with input as {}",
    " with data.a as x",
    "true",
    "\n",
    "x := 1\n",
    "x = y\n",
    "{x}",
    "[x, _]",
    "$\"a{x}b\"",
    "{\"a\": x}",
    "x[y].z",
    "sum([x])",
    "rego.metadata.rule()",
    "walk(x, [y, z])",
    "some x\n",
    "not x == 1",
    "every k, v in x { k == v }\n",
    "f(x)",
];

/// Copies with some words and lines changed.
pub(crate) fn mutated(random: &mut Random, files: &Files, others: &Files) -> Files {
    let donors: Vec<&str> = others.values().flat_map(|text| text.lines()).collect();
    let mut files = files.clone();
    let chosen = random.below(files.len());
    if let Some(text) = files.values_mut().nth(chosen) {
        for _ in 0..=random.below(3) {
            *text = match random.below(10) {
                0..=4 => with_word_replaced(random, text),
                5..=8 => with_line_changed(random, text, &donors),
                _ => with_token_changed(random, text),
            };
        }
    }
    files
}

fn is_word(token: &str) -> bool {
    token.starts_with(|char: char| char.is_alphabetic() || char == '_')
}

/// A name becomes another name of the file, or one of a few.
fn with_word_replaced(random: &mut Random, text: &str) -> String {
    const NAMES: [&str; 12] =
        ["x", "y", "input", "data", "_", "count", "true", "f", "p", "sum", "key", "walk"];
    let mut tokens = tokens(text);
    let words: Vec<_> =
        tokens.iter().enumerate().filter(|(_, token)| is_word(token)).map(|(at, _)| at).collect();
    let Some(at) = words.get(random.below(words.len())).copied() else { return text.to_owned() };
    let from = words.get(random.below(words.len())).and_then(|from| tokens.get(*from)).copied();
    let name = match random.below(4) {
        0 => NAMES.get(random.below(NAMES.len())).copied(),
        _ => from,
    };
    if let Some((place, name)) = tokens.get_mut(at).zip(name) {
        *place = name;
    }
    tokens.concat()
}

/// A line is left out, doubled, moved, or taken from another file or from the list above.
fn with_line_changed(random: &mut Random, text: &str, donors: &[&str]) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let at = random.below(lines.len());
    let from = random.below(lines.len());
    let own = lines.get(from).copied().unwrap_or_default();
    match random.below(5) {
        0 => _ = (at < lines.len()).then(|| lines.remove(at)),
        1 => lines.insert(at, own),
        2 if !lines.is_empty() => lines.swap(at, from),
        3 => lines.insert(at, donors.get(random.below(donors.len())).copied().unwrap_or_default()),
        _ => {
            lines.insert(at, INSERTS.get(random.below(INSERTS.len())).copied().unwrap_or_default())
        }
    }
    lines.join("\n") + "\n"
}

fn with_token_changed(random: &mut Random, text: &str) -> String {
    let mut changed: Vec<String> = tokens(text).into_iter().map(str::to_owned).collect();
    let at = random.below(changed.len());
    let word = changed.get(random.below(changed.len())).cloned().unwrap_or_default();
    let insert = INSERTS.get(random.below(INSERTS.len())).copied().unwrap_or_default();
    if let Some(place) = changed.get_mut(at) {
        match random.below(5) {
            0 => place.clear(),
            1 => *place = word,
            2 => insert.clone_into(place),
            3 => place.push_str(insert),
            _ => *place = format!("{word}{place}"),
        }
    }
    changed.concat()
}
