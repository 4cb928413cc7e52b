//! Reduces a case that shows a difference: as long as the difference stays, files, rules, tokens
//! and parts of documents are left out (delta debugging).

use std::collections::BTreeMap;

use crate::protocol::Question;
use crate::value::Value;

/// The highest number of questions for a case.
const EFFORT: usize = 4000;

/// Looks for a smaller question for which `shows` still holds.
pub fn shrink(question: &Question, shows: &mut dyn FnMut(&Question) -> bool) -> Question {
    let mut shrinker = Shrinker { best: question.clone(), shows, left: EFFORT };
    loop {
        let size = shrinker.size();
        shrinker.files();
        shrinker.texts(items);
        shrinker.texts(tokens);
        shrinker.brackets();
        shrinker.documents();
        if shrinker.size() >= size || shrinker.left == 0 {
            return shrinker.best;
        }
    }
}

struct Shrinker<'a> {
    best: Question,
    shows: &'a mut dyn FnMut(&Question) -> bool,
    left: usize,
}

impl Shrinker<'_> {
    fn size(&self) -> usize {
        let texts: usize = self.best.files.values().map(String::len).sum();
        let data = self.best.data.as_ref().map_or(0, |data| data.to_string().len());
        let inputs: usize =
            self.best.inputs.iter().flatten().map(|input| input.to_string().len()).sum();
        texts + data + inputs + self.best.files.len()
    }

    /// Keeps a change if the difference stays.
    fn attempt(&mut self, change: impl FnOnce(&mut Question)) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let mut changed = self.best.clone();
        change(&mut changed);
        let kept = (self.shows)(&changed);
        if kept {
            self.best = changed;
        }
        kept
    }

    fn files(&mut self) {
        let paths: Vec<String> = self.best.files.keys().cloned().collect();
        for path in paths {
            self.attempt(|question| {
                question.files.remove(&path);
            });
        }
    }

    /// Leaves out runs of parts of the texts, long ones first.
    fn texts(&mut self, split: fn(&str) -> Vec<&str>) {
        let paths: Vec<String> = self.best.files.keys().cloned().collect();
        for path in paths {
            let text = self.best.files.get(&path).cloned().unwrap_or_default();
            let mut parts: Vec<String> = split(&text).into_iter().map(str::to_owned).collect();
            let mut run = parts.len().next_power_of_two() / 2;
            while run > 0 {
                let mut at = parts.len();
                while at > 0 {
                    let from = at.saturating_sub(run);
                    let rest: Vec<String> = parts
                        .iter()
                        .enumerate()
                        .filter(|(index, _)| *index < from || *index >= at)
                        .map(|(_, part)| part.clone())
                        .collect();
                    if self.attempt(|question| {
                        question.files.insert(path.clone(), rest.concat());
                    }) {
                        parts = rest;
                    }
                    at = from;
                }
                run /= 2;
            }
        }
    }

    /// Replaces bracketed parts by simple ones.
    fn brackets(&mut self) {
        let paths: Vec<String> = self.best.files.keys().cloned().collect();
        for path in paths {
            let mut at = 0;
            loop {
                let text = self.best.files.get(&path).cloned().unwrap_or_default();
                let parts = tokens(&text);
                let Some(open) = parts.iter().skip(at).position(|part| "([{".contains(*part))
                else {
                    break;
                };
                let open = at + open;
                at = open + 1;
                let Some(length) = matching(parts.get(open..).unwrap_or_default()) else {
                    continue;
                };
                if length < 3 {
                    continue;
                }
                let part =
                    |range: std::ops::Range<usize>| parts.get(range).unwrap_or_default().concat();
                let before = part(0..open);
                let inside = part(open + 1..open + length - 1);
                let after = part(open + length..parts.len());
                for simple in [inside.as_str(), "1", "\"a\"", "[]", "{}"] {
                    if simple.len() < inside.len() + 2
                        && self.attempt(|question| {
                            question.files.insert(path.clone(), format!("{before}{simple}{after}"));
                        })
                    {
                        break;
                    }
                }
            }
        }
    }

    fn documents(&mut self) {
        if self.best.data.is_some() && !self.attempt(|question| question.data = None) {
            let place = |question: &mut Question, value: Value| question.data = Some(value);
            let data = self.best.data.clone().unwrap_or(Value::Null);
            self.document(data, &place);
        }
        if let Some(Some(input)) = self.best.inputs.first().cloned()
            && !self.attempt(|question| question.inputs = vec![None])
        {
            let place = |question: &mut Question, value: Value| question.inputs = vec![Some(value)];
            self.document(input, &place);
        }
    }

    /// Leaves out parts of a document, from the outside in.
    fn document(&mut self, whole: Value, place: &dyn Fn(&mut Question, Value)) {
        let mut whole = whole;
        let mut depth = 1;
        loop {
            let paths = paths(&whole, depth);
            if paths.is_empty() {
                return;
            }
            // From the last, so that positions in arrays stay valid.
            for path in paths.iter().rev() {
                for simple in [None, Some(Value::Null)] {
                    let smaller = replaced(&whole, path, simple.as_ref());
                    if smaller != whole && self.attempt(|question| place(question, smaller.clone()))
                    {
                        whole = smaller;
                        break;
                    }
                }
            }
            depth += 1;
        }
    }
}

/// The positions of all parts this deep.
fn paths(value: &Value, depth: usize) -> Vec<Vec<usize>> {
    if depth == 0 {
        return vec![Vec::new()];
    }
    let children: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Set(_) => {
            Vec::new()
        }
    };
    let mut all = Vec::new();
    for (index, child) in children.into_iter().enumerate() {
        for mut path in paths(child, depth - 1) {
            path.insert(0, index);
            all.push(path);
        }
    }
    all
}

/// The document with another part, or without it.
fn replaced(value: &Value, path: &[usize], part: Option<&Value>) -> Value {
    let Some((first, rest)) = path.split_first() else {
        return part.cloned().unwrap_or(Value::Null);
    };
    let inner = |index: usize, child: &Value| {
        if index != *first {
            return Some(child.clone());
        }
        if rest.is_empty() { part.cloned() } else { Some(replaced(child, rest, part)) }
    };
    match value {
        Value::Array(items) => Value::Array(
            items.iter().enumerate().filter_map(|(index, item)| inner(index, item)).collect(),
        ),
        Value::Object(members) => {
            let kept = members.iter().enumerate().filter_map(|(index, (key, member))| {
                inner(index, member).map(|member| (key.clone(), member))
            });
            Value::Object(kept.collect::<BTreeMap<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Set(_) => {
            value.clone()
        }
    }
}

/// The number of tokens until the bracket that the first one opens is closed.
fn matching(parts: &[&str]) -> Option<usize> {
    let mut open = 0_usize;
    for (index, part) in parts.iter().enumerate() {
        match *part {
            "(" | "[" | "{" => open += 1,
            ")" | "]" | "}" => open = open.checked_sub(1)?,
            _ => {}
        }
        if open == 0 {
            return Some(index + 1);
        }
    }
    None
}

/// A text's tokens, white space before each; together they are the text.
fn tokens(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = |mark: char| mark.is_alphanumeric() || mark == '_';
        let length = match first {
            '"' | '`' => closing(rest, first),
            mark if word(mark) => rest.find(|mark| !word(mark)).unwrap_or(rest.len()),
            ' ' | '\t' => rest.find(|mark| mark != ' ' && mark != '\t').unwrap_or(rest.len()),
            ':' | '=' | '!' | '<' | '>' if rest.get(1..2) == Some("=") => 2,
            mark => mark.len_utf8(),
        };
        let (part, after) = rest.split_at(length);
        parts.push(part);
        rest = after;
    }
    parts
}

/// How long a string is, its quotes included.
fn closing(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, mark) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if mark == '\\' && quote == '"' {
            escaped = true;
        } else if mark == quote {
            return at + mark.len_utf8();
        }
    }
    text.len()
}

/// A text's imports and rules: lines, each with the bracketed part that it opens.
fn items(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let mut open = 0_i64;
    for part in tokens(text) {
        at += part.len();
        match part {
            "(" | "[" | "{" => open += 1,
            ")" | "]" | "}" => open -= 1,
            "\n" if open <= 0 => {
                all.extend(text.get(start..at));
                start = at;
            }
            _ => {}
        }
    }
    all.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn what_does_not_show_the_difference_is_left_out() {
        let question = Question {
            files: BTreeMap::from([
                ("a.rego".into(), "package a\n\nimport data.b\n\np := x if {\n\tx := f([1, \"a]\"])\n\ttrue\n}\n\nq := 2\n".into()),
                ("b.rego".into(), "package b\n".into()),
            ]),
            data: Some(json::parse(r#"{"a": [1, {"keep": 2, "c": 3}], "d": 1}"#).unwrap()),
            inputs: vec![Some(json::parse(r#"[1, 2]"#).unwrap())],
            ..Question::default()
        };
        let mut shows = |question: &Question| {
            question.files.values().any(|text| text.contains("f(") && text.contains(')'))
                && question.data.as_ref().is_some_and(|data| data.to_string().contains("keep"))
        };
        let small = shrink(&question, &mut shows);
        assert_eq!(small.files, BTreeMap::from([("a.rego".into(), "f()".into())]));
        assert_eq!(small.data.unwrap().to_string(), r#"{"a": [{"keep": null}]}"#);
        assert_eq!(small.inputs, [None]);
    }

    #[test]
    fn items_and_tokens_make_up_the_text() {
        let text = "package a\n\np if {\n\tx := \"}\\\"\"\n} else := 2\nq := `a\n}`\n";
        assert_eq!(tokens(text).concat(), text);
        assert_eq!(items(text).concat(), text);
        assert_eq!(items(text).len(), 4);
    }
}
