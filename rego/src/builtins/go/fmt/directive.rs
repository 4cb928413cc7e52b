//! Reads a format: literals and directives, and the argument of each directive.

use super::arg::Arg;
use super::flags::Flags;
use super::print::Printer;

/// The largest width, precision and argument number.
const LARGEST: usize = 1_000_000;

/// A format that is read from left to right.
pub(super) struct Reader<'a> {
    rest: &'a str,
    args: &'a [Arg],
    next: usize,
    /// An argument number has been used, so that unused arguments are not a fault.
    reordered: bool,
    /// Whether the argument number of this directive is valid.
    good: bool,
    /// The directive's last part was an argument number.
    after_index: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(format: &'a str, args: &'a [Arg]) -> Self {
        Self { rest: format, args, next: 0, reordered: false, good: true, after_index: false }
    }

    /// Formats the text before the next directive, and the directive. False at the end.
    pub(super) fn step(&mut self, printer: &mut Printer) -> bool {
        let Some((literal, rest)) = self.rest.split_once('%') else {
            printer.out.push_str(self.rest);
            return false;
        };
        printer.out.push_str(literal);
        self.rest = rest;
        self.directive(printer);
        true
    }

    fn directive(&mut self, printer: &mut Printer) {
        self.good = true;
        let mut flags = self.flags();
        self.index();
        self.width(&mut flags, printer);
        self.precision(&mut flags, printer);
        if !self.after_index {
            self.index();
        }
        let mut chars = self.rest.chars();
        let Some(verb) = chars.next() else {
            printer.out.push_str("%!(NOVERB)");
            return;
        };
        self.rest = chars.as_str();
        match (verb, self.good, self.args.get(self.next)) {
            ('%', _, _) => printer.out.push('%'),
            (_, false, _) => printer.problem(verb, "BADINDEX"),
            (_, true, None) => printer.problem(verb, "MISSING"),
            (_, true, Some(arg)) => {
                if matches!(verb, 'v' | 'w') {
                    flags.sharp_v = std::mem::take(&mut flags.sharp);
                    flags.plus_v = std::mem::take(&mut flags.plus);
                }
                printer.flags = flags;
                printer.arg(arg, verb);
                self.next += 1;
            }
        }
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        loop {
            match self.rest.as_bytes().first() {
                Some(b'#') => flags.sharp = true,
                Some(b'0') => flags.zero = true,
                Some(b'+') => flags.plus = true,
                Some(b'-') => flags.minus = true,
                Some(b' ') => flags.space = true,
                _ => return flags,
            }
            self.skip(1);
        }
    }

    fn width(&mut self, flags: &mut Flags, printer: &mut Printer) {
        if self.take('*') {
            match self.number_of_argument() {
                Some(width) => {
                    if width < 0 {
                        flags.minus = true;
                        flags.zero = false;
                    }
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => printer.out.push_str("%!(BADWIDTH)"),
            }
            self.after_index = false;
        } else {
            flags.width = self.number();
            if self.after_index && flags.width.is_some() {
                self.good = false;
            }
        }
    }

    fn precision(&mut self, flags: &mut Flags, printer: &mut Printer) {
        // A dot at the very end is a verb, not a precision.
        if self.rest.len() < 2 || !self.take('.') {
            return;
        }
        if self.after_index {
            self.good = false;
        }
        self.index();
        if self.take('*') {
            let number = self.number_of_argument();
            flags.precision = number.and_then(|number| usize::try_from(number).ok());
            if flags.precision.is_none() {
                printer.out.push_str("%!(BADPREC)");
            }
            self.after_index = false;
        } else {
            flags.precision = Some(self.number().unwrap_or(0));
        }
    }

    /// An argument number in brackets.
    fn index(&mut self) {
        self.after_index = false;
        if !self.rest.starts_with('[') {
            return;
        }
        self.reordered = true;
        let end = if self.rest.len() < 3 { None } else { self.rest.find(']') };
        let Some(end) = end else {
            self.good = false;
            self.skip(1);
            return;
        };
        let digits = self.rest.get(1..end).unwrap_or_default();
        let number = decimal(digits).filter(|(_, length)| *length == digits.len());
        self.skip(end + 1);
        match number.and_then(|(number, _)| number.checked_sub(1)) {
            Some(index) if index < self.args.len() => {
                self.next = index;
                self.after_index = true;
            }
            index => {
                self.good = false;
                self.after_index = index.is_some() || number.is_some();
            }
        }
    }

    /// A number that stands in the format.
    fn number(&mut self) -> Option<usize> {
        if !self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let Some((number, length)) = decimal(self.rest) else {
            // Go gives up on the rest of the format.
            self.rest = "";
            return None;
        };
        self.skip(length);
        Some(number)
    }

    /// The number that the next argument is.
    fn number_of_argument(&mut self) -> Option<i64> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        match arg {
            Arg::Int(i) | Arg::MachineInt(i) => {
                Some(*i).filter(|i| i.unsigned_abs() <= LARGEST as u64)
            }
            _ => None,
        }
    }

    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// Reports the arguments that no directive has taken.
    pub(super) fn rest(&self, printer: &mut Printer) {
        let extra = self.args.get(self.next..).unwrap_or_default();
        if self.reordered || extra.is_empty() {
            return;
        }
        printer.flags = Flags::default();
        printer.out.push_str("%!(EXTRA ");
        for (i, arg) in extra.iter().enumerate() {
            if i > 0 {
                printer.out.push_str(", ");
            }
            printer.typed(arg);
        }
        printer.out.push(')');
    }
}

/// The number that a text begins with, and its length. `None` where there is no digit, or the
/// number is too large.
fn decimal(text: &str) -> Option<(usize, usize)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let mut number = 0_usize;
    for digit in text.bytes().take(length) {
        if number > LARGEST {
            return None;
        }
        number = number * 10 + usize::from(digit - b'0');
    }
    (length > 0).then_some((number, length))
}
