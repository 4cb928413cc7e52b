//! The log's output: standard error, through a buffer that never blocks.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat};

/// Target of the log's decision lines.
pub(crate) const DECISION_TARGET: &str = "decision";

/// Lines that wait for standard error. Beyond them lines are dropped, and counted: a reader that
/// stops must not stop decisions.
const BUFFERED_LINES: usize = 16_384;

/// Keeps the log's writer alive. When it is dropped, the buffer is written, unless standard error
/// accepts no data for a second: then the rest is lost, so that the process can end.
#[derive(Debug)]
#[must_use]
pub struct LogGuard {
    _guard: WorkerGuard,
    pub(crate) lost_lines: LostLines,
}

/// Counts the lines of the log that were lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct LostLines {
    /// Lines that did not fit into the buffer.
    dropped: Option<ErrorCounter>,
    /// Lines that standard error refused: its disk is full, or its reader is gone.
    refused: Arc<AtomicU64>,
}

impl LostLines {
    /// The number so far.
    pub(crate) fn count(&self) -> u64 {
        let dropped = self.dropped.as_ref().map_or(0, ErrorCounter::dropped_lines);
        let dropped = u64::try_from(dropped).unwrap_or(u64::MAX);
        dropped.saturating_add(self.refused.load(Ordering::Relaxed))
    }
}

/// Standard error, which may refuse writes. They can only be counted.
#[derive(Debug)]
struct CountingStderr {
    refused: Arc<AtomicU64>,
}

impl Write for CountingStderr {
    /// Takes all of `buffer`, which is one line.
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if io::stderr().write_all(buffer).is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Starts logging for the whole process.
///
/// Does nothing when a logger is set already, which is so only in tests.
pub fn init(config: &LogConfig) -> LogGuard {
    let refused = Arc::new(AtomicU64::new(0));
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(BUFFERED_LINES)
        .lossy(true)
        .thread_name("log-writer")
        .finish(CountingStderr { refused: Arc::clone(&refused) });
    let lost_lines = LostLines { dropped: Some(writer.error_counter()), refused };

    let is_terminal = io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer = if json {
        layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        layer.with_ansi(is_terminal).with_target(false).boxed()
    };
    let filter = filter(*config);
    // A second logger can only be a test's, which is no reason to end.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    LogGuard { _guard: guard, lost_lines }
}

/// Libraries log their warnings and errors, and more only at level trace.
fn filter(config: LogConfig) -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    FilterFn::new(move |metadata: &Metadata<'_>| {
        let level = *metadata.level();
        let target = metadata.target();
        let ours = target.starts_with("enforcer_") || target == DECISION_TARGET;
        let decisions_off = target == DECISION_TARGET && !config.decisions;
        level <= config.level
            && !decisions_off
            && (ours || level <= LevelFilter::WARN || config.level == LevelFilter::TRACE)
    })
    .with_max_level_hint(config.level)
}

/// `text` with everything escaped that could move a terminal's cursor, end a line or hide itself:
/// some of the logged text is written by tenants and clients.
pub(crate) fn printable(text: &str) -> impl fmt::Display {
    fmt::from_fn(move |formatter| {
        text.chars().try_for_each(|character| match character {
            '"' | '\'' | '\\' => formatter.write_char(character),
            other => fmt::Display::fmt(&other.escape_debug(), formatter),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logged_text_cannot_act_on_a_terminal() {
        let shown = printable("it's \"é\"\n\u{1b}[2J\u{202e}\0").to_string();
        assert_eq!(shown, r#"it's "é"\n\u{1b}[2J\u{202e}\0"#);
    }
}
