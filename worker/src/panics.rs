//! What a panic leaves on standard error, which the supervisor logs: one line, and so one event.

use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};

/// Has every panic of this process reported in one line.
pub(crate) fn report_in_one_line() {
    panic::set_hook(Box::new(|info| {
        // Where standard error cannot be written to, there is nobody to tell.
        let _ = io::stderr().write_all(line(info).as_bytes());
    }));
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let message = info.payload_as_str().unwrap_or("no message").replace('\n', "\\n");
    format!("panicked at {place}: {message}\n")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_panic_is_one_line_with_its_place() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let before = panic::take_hook();
        let seen = Arc::clone(&lines);
        panic::set_hook(Box::new(move |info| seen.lock().unwrap().push(line(info))));
        let result = panic::catch_unwind(|| panic!("two\nlines"));
        panic::set_hook(before);
        assert!(result.is_err());
        let lines = lines.lock().unwrap();
        let text = lines.iter().find(|line| line.contains("two")).unwrap();
        assert!(text.starts_with("panicked at worker/src/panics.rs:"), "{text}");
        assert!(text.ends_with(": two\\nlines\n"), "{text}");
    }
}
