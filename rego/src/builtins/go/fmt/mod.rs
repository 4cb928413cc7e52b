//! `fmt.Sprintf`: verbs, flags, widths, precisions, argument numbers, and its text where verbs and
//! arguments do not fit (`%!d(string=a)`).

mod arg;
mod directive;
mod flags;
mod integer;
mod print;

pub(crate) use self::arg::Arg;
use self::directive::Reader;
use self::print::Printer;
use crate::builtins::{Failure, limits};

/// Formats arguments.
///
/// # Errors
/// When the text would be longer than [`limits::STRING_BYTES`].
pub(crate) fn sprintf(format: &str, args: &[Arg]) -> Result<String, Failure> {
    let mut reader = Reader::new(format, args);
    let mut printer = Printer::default();
    while reader.step(&mut printer) {
        check(&printer)?;
    }
    reader.rest(&mut printer);
    check(&printer)?;
    Ok(printer.out)
}

fn check(printer: &Printer) -> Result<(), Failure> {
    if printer.out.len() > limits::STRING_BYTES {
        return Err(limits::exceeded("a text is too long"));
    }
    Ok(())
}
