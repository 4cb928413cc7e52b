//! JSON as text: made readable without being read into values, which could not hold every number.

use std::fmt::Write as _;

use super::terminal::is_obeyed;

/// Spaces of a level.
const INDENT: usize = 2;

/// A JSON text of a worker, which is known to be JSON, with indents. Characters that a terminal
/// would obey are written as escapes, so that it is the same JSON.
pub(super) fn pretty(text: &str) -> String {
    let mut writer = Writer { written: String::with_capacity(text.len() * 2), level: 0 };
    let mut characters = text.chars().peekable();
    let mut state = State::Between;
    while let Some(character) = characters.next() {
        match (state, character) {
            (State::Escaped, character) => {
                writer.inside(character);
                state = State::String;
            }
            (State::String, '"') => {
                writer.written.push('"');
                state = State::Between;
            }
            (State::String, character) => {
                writer.inside(character);
                if character == '\\' {
                    state = State::Escaped;
                }
            }
            (State::Between, '"') => {
                writer.written.push('"');
                state = State::String;
            }
            (State::Between, open @ ('{' | '[')) => {
                let is_empty = matches!(characters.peek(), Some('}' | ']'));
                writer.written.push(open);
                if is_empty {
                    writer.written.extend(characters.next());
                } else {
                    writer.level += 1;
                    writer.line();
                }
            }
            (State::Between, close @ ('}' | ']')) => {
                writer.level = writer.level.saturating_sub(1);
                writer.line();
                writer.written.push(close);
            }
            (State::Between, ',') => {
                writer.written.push(',');
                writer.line();
            }
            (State::Between, ':') => writer.written.push_str(": "),
            (State::Between, ' ' | '\n' | '\r' | '\t') => {}
            (State::Between, character) => writer.inside(character),
        }
    }
    writer.written
}

/// A JSON text on its line, with escapes for characters that a terminal would obey.
pub(super) fn compact(text: &str) -> String {
    let mut writer = Writer { written: String::with_capacity(text.len()), level: 0 };
    text.chars().for_each(|character| writer.inside(character));
    writer.written
}

#[derive(Clone, Copy)]
enum State {
    Between,
    String,
    Escaped,
}

struct Writer {
    written: String,
    level: usize,
}

impl Writer {
    fn line(&mut self) {
        self.written.push('\n');
        self.written.extend(std::iter::repeat_n(' ', self.level * INDENT));
    }

    fn inside(&mut self, character: char) {
        if is_obeyed(character) {
            // All of them are below U+10000.
            let _ = write!(self.written, "\\u{:04x}", u32::from(character));
        } else {
            self.written.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_indented_and_stays_the_same() {
        let text =
            "{\"a\":[1,{}, [] ,\"x,{\\\"}\"],\"b\":12345678901234567890123,\"c\":{\"d\":null}}";
        let expected = "{
  \"a\": [
    1,
    {},
    [],
    \"x,{\\\"}\"
  ],
  \"b\": 12345678901234567890123,
  \"c\": {
    \"d\": null
  }
}";
        assert_eq!(pretty(text), expected);
    }

    #[test]
    fn characters_that_a_terminal_obeys_are_escaped() {
        let text = "\"a\u{9b}\u{7f}\u{202e}\\u001b\"";
        for shown in [pretty(text), compact(text)] {
            assert_eq!(shown, "\"a\\u009b\\u007f\\u202e\\u001b\"");
            let (read, original): (String, String) =
                (serde_json::from_str(&shown).unwrap(), serde_json::from_str(text).unwrap());
            assert_eq!(read, original);
        }
    }
}
