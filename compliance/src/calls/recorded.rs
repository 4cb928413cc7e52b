//! Recorded calls with texts that cannot be generated: keys, certificates and tokens.

use std::collections::BTreeMap;

use enforcer_rego::Value;
use serde_json::Value as Json;

/// The arguments of recorded calls, by names and by families of built-ins.
#[derive(Debug, Default)]
pub struct Recorded(BTreeMap<String, Vec<Vec<Value>>>);

impl Recorded {
    /// Adds the lines of a table: `{"text": name, "is": text}` names a text, and the other lines are
    /// calls (`name`, `args`), in which `<name>` stands for it.
    ///
    /// # Errors
    /// The faulty line and its fault.
    pub fn add(&mut self, table: &str) -> Result<(), String> {
        let mut texts: Vec<(String, String)> = Vec::new();
        for line in table.lines().filter(|line| !line.trim().is_empty()) {
            let line =
                texts.iter().fold(line.to_owned(), |line, (name, is)| line.replace(name, is));
            let read: Json =
                serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))?;
            let text = |key: &str| read.get(key).and_then(Json::as_str);
            if let (Some(name), Some(is)) = (text("text"), read.get("is")) {
                // As written between quotes.
                let is = is.to_string();
                let is = is.strip_prefix('"').and_then(|is| is.strip_suffix('"')).unwrap_or(&is);
                texts.push((format!("<{name}>"), is.to_owned()));
            } else if let (Some(name), Some(args)) =
                (text("name"), read.get("args").and_then(Json::as_array))
            {
                let value = |arg: &Json| enforcer_rego::json::parse(arg.to_string().as_bytes());
                let args: Result<_, _> = args.iter().map(value).collect();
                let args = args.map_err(|_| format!("no value: {line}"))?;
                let args: Vec<Value> = args;
                self.0.entry(family(name)).or_default().push(args.clone());
                if family(name) != name {
                    self.0.entry(name.to_owned()).or_default().push(args);
                }
            } else {
                return Err(format!("neither a text nor a call: {line}"));
            }
        }
        Ok(())
    }

    /// The calls of a built-in.
    #[must_use]
    pub fn of(&self, name: &str) -> &[Vec<Value>] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The calls of a built-in and of those with similar arguments.
    #[must_use]
    pub fn of_family(&self, name: &str) -> &[Vec<Value>] {
        self.of(&family(name))
    }
}

/// `io.jwt.verify` of `io.jwt.verify_rs256`.
fn family(name: &str) -> String {
    name.split_once('_').map_or(name, |(family, _)| family).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stand_in_for_their_names_and_families_share_calls() {
        let mut recorded = Recorded::default();
        recorded
            .add("{\"text\": \"k\", \"is\": \"KEY\\\"\"}\n{\"name\": \"io.jwt.verify_rs256\", \"args\": [\"<k>.\", {\"a\": \"<k>\"}]}\n")
            .unwrap();
        assert!(recorded.of("io.jwt.verify_es256").is_empty());
        let args = recorded.of_family("io.jwt.verify_es256");
        assert_eq!(args.first().and_then(|args| args.first()), Some(&Value::from("KEY\".")));
        assert!(recorded.of_family("io.jwt.decode").is_empty());
        assert!(recorded.add("{}").is_err());
    }
}
