//! What in a module's text the engine's parser does not get over, found before it is asked.

/// Brackets in brackets. The parser tries each in two ways, so its time doubles with every level:
/// at this depth it takes most of a second.
const MAX_NESTING: usize = 20;

/// A decimal exponent. The largest double's is 308; the parser writes a number's zeros out.
const MAX_EXPONENT: u32 = 400;

/// Signs in one expression, as in `---1` or `-1 - -1`. The parser calls itself for each, and for
/// whatever follows it.
const MAX_SIGNS: usize = 20;

/// Operators in one expression, as in `1 + 1 + 1`. The engine calls itself for each.
const MAX_OPERATORS: usize = 1000;

/// Where in `text` the first pitfall is, and what it is.
pub(crate) fn pitfall(text: &str) -> Option<(usize, &'static str)> {
    // The parser takes it for the end of the module, and would leave out the rules behind it.
    let nul = text.find('\0').map(|offset| (offset, "the file holds a NUL character"));
    let found = nul
        .into_iter()
        .chain(deep_nesting(text))
        .chain(long_expression(text))
        .chain(large_exponent(text));
    found.min_by_key(|(offset, _)| *offset)
}

fn deep_nesting(text: &str) -> Option<(usize, &'static str)> {
    let mut depth = 0_usize;
    tokens(text).find_map(|(offset, token)| {
        match token {
            "[" | "{" | "(" => depth += 1,
            "]" | "}" | ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth > MAX_NESTING)
            .then_some((offset, "more than 20 brackets stand in one another here; use data.json"))
    })
}

fn long_expression(text: &str) -> Option<(usize, &'static str)> {
    // Signs and operators of the expressions that are open, the innermost last: what stands in
    // brackets is an expression of its own, and the one around it goes on behind them.
    let mut open = vec![(0_usize, 0_usize)];
    let mut is_operand_next = true;
    tokens(text).find_map(|(offset, token)| {
        let is_sign = token == "-" && is_operand_next;
        let (signs, operators) = open.last_mut()?;
        is_operand_next = true;
        match token {
            "-" if is_sign => *signs += 1,
            "+" | "-" | "*" | "/" | "%" | "&" | "|" => *operators += 1,
            "," | ";" | ":" | "=" | "<" | ">" | "!" | "if" => (*signs, *operators) = (0, 0),
            _ => is_operand_next = false,
        }
        let found = if *signs > MAX_SIGNS {
            Some((offset, "more than 20 numbers of one expression have a sign here"))
        } else if *operators > MAX_OPERATORS {
            Some((offset, "more than 1,000 operators stand in one expression here"))
        } else {
            None
        };
        match token {
            "[" | "{" | "(" => {
                open.push((0, 0));
                is_operand_next = true;
            }
            "]" | "}" | ")" if open.len() > 1 => {
                open.pop();
            }
            _ => {}
        }
        found
    })
}

fn large_exponent(text: &str) -> Option<(usize, &'static str)> {
    tokens(text).find_map(|(offset, token)| {
        let is_number = token.starts_with(|first: char| first.is_ascii_digit());
        let (_, exponent) = token.split_once(['e', 'E']).filter(|_| is_number)?;
        let digits = exponent.trim_start_matches(['+', '-']);
        let is_large =
            digits.parse::<u32>().map_or(!digits.is_empty(), |value| value > MAX_EXPONENT);
        is_large.then_some((offset, "this number's exponent is out of range"))
    })
}

/// The words, numbers and single other characters of a module, outside of its strings and comments
/// and without the space between them, with where each begins. A string that does not end goes to the end of its line, as for the parser.
fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(offset..)?;
            let first = rest.chars().next()?;
            let (length, is_token) = match first {
                '#' => (rest.find('\n').unwrap_or(rest.len()), false),
                '"' => (string_length(rest), false),
                '`' => (raw_string_length(rest), false),
                '0'..='9' => (number_length(rest), true),
                first if is_word(first) => (word_length(rest), true),
                first => (first.len_utf8(), !first.is_whitespace()),
            };
            let token = (offset, rest.get(..length)?);
            offset += length;
            if is_token {
                return Some(token);
            }
        }
    })
}

const fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn word_length(text: &str) -> usize {
    text.find(|next| !is_word(next)).unwrap_or(text.len())
}

/// Digits, a point, and an exponent with its sign.
fn number_length(text: &str) -> usize {
    let mut before = ' ';
    let ends = |next: char| {
        let is_sign = matches!(next, '+' | '-') && matches!(before, 'e' | 'E');
        before = next;
        !(is_word(next) || next == '.' || is_sign)
    };
    text.find(ends).unwrap_or(text.len())
}

fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '\n' => return at,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string_length(text: &str) -> usize {
    text.get(1..).and_then(|inner| inner.find('`')).map_or(text.len(), |at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("x := {}1{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn what_the_parser_does_not_get_over_is_found_where_it_stands() {
        for (text, offset) in [
            ("x := 1\0y := 2", 6),
            ("x := 1e401", 5),
            ("x := 1.5E+99999999999999999999", 5),
            ("x := 20000000000000000000000000+0e07373095551", 32),
            ("x := [2e-401]", 6),
            (nested(MAX_NESTING + 1).as_str(), 5 + MAX_NESTING),
            (format!("x := {}1", "-".repeat(MAX_SIGNS + 1)).as_str(), 5 + MAX_SIGNS),
            (format!("x := {}1", "- ".repeat(2000)).as_str(), 5 + 2 * MAX_SIGNS),
            (format!("x := 1{}", "---1".repeat(20)).as_str(), 6 + 4 * 10 + 1),
            (format!("x := 1{}", "---a[1]".repeat(20)).as_str(), 6 + 7 * 10 + 1),
            (format!("x := 1{}", "+1".repeat(20_000)).as_str(), 6 + 2 * MAX_OPERATORS),
        ] {
            assert_eq!(pitfall(text).map(|(at, _)| at), Some(offset), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_pitfall_is_none() {
        for text in [
            "x := 1e308",
            "x := 2e-300",
            "x := 1e+0000000300",
            "x := \"1e99999\" # 1e99999 [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
            "x := `1e99999 [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[`",
            "x := \"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\\\"",
            "x1e99999 := e99999",
            "x := 0x1f",
            nested(MAX_NESTING).as_str(),
            &"x := [[[1]]]\n".repeat(100),
            &"x := --1 + 2\n".repeat(2000),
            &"allow if input.a - input.b\n".repeat(2000),
            &"input.a + 1 < 2\n".repeat(2000),
            &format!("x := [{}]", "-1, ".repeat(2000)),
            &format!("x := f({})", "g(-1) - 1, ".repeat(2000)),
            &format!("x := 1{}", "+1".repeat(MAX_OPERATORS)),
            &format!("# {}", "-".repeat(100)),
        ] {
            assert_eq!(pitfall(text), None, "{text}");
        }
    }
}
