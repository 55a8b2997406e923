//! Log lines: one JSON object each, gathered in memory, and written to standard output by a thread of its own, many at a
//! time. A line costs the request that causes it a copy: no system call, and no wake-up of another thread but the first in
//! a while. (The library's own JSON cost a sixth of a token check, and its lines half as much again as ours.)

use std::{
    cell::Cell,
    fmt::{self, Debug, Write as _},
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::MakeWriter,
    layer::{Context, Layer},
};

/// What may wait to be written; beyond it lines are dropped, so that a reader who stops reading stops no request.
const PENDING_MAX_BYTES: usize = 2 << 20;
/// How long lines are gathered.
const GATHER: Duration = Duration::from_millis(5);
/// At the end, for the last lines.
const FINISH: Duration = Duration::from_secs(1);
/// A buffer that a burst has made larger than this is given back.
const KEPT_BYTES: usize = 256 << 10;

/// Takes lines; a clone writes to the same place.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

struct Shared {
    pending: Mutex<Pending>,
    arrived: Condvar,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    dropped: u64,
    ends: bool,
}

/// Writes what is left when it is dropped.
pub struct Guard {
    lines: Lines,
    finished: mpsc::Receiver<()>,
}

impl Lines {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(output: impl Write + Send + 'static) -> io::Result<(Self, Guard)> {
        let lines = Self(Arc::new(Shared { pending: Mutex::default(), arrived: Condvar::new() }));
        let (finish, finished) = mpsc::channel();
        let shared = Arc::clone(&lines.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            shared.write_to(output);
            // Nobody waits after FINISH.
            let _ = finish.send(());
        })?;
        Ok((lines.clone(), Guard { lines, finished }))
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut output: impl Write) {
        let mut bytes = Vec::new();
        loop {
            let idle = |pending: &mut Pending| pending.bytes.is_empty() && !pending.ends;
            let mut pending = self.arrived.wait_while(self.pending(), idle).unwrap_or_else(PoisonError::into_inner);
            if !pending.ends {
                drop(pending);
                thread::sleep(GATHER);
                pending = self.pending();
            }
            mem::swap(&mut pending.bytes, &mut bytes);
            let (ends, dropped) = (pending.ends, mem::take(&mut pending.dropped));
            drop(pending);
            // What cannot be written is lost: there is nowhere else to say so.
            let _ = output.write_all(&bytes).and_then(|()| output.flush());
            bytes.clear();
            bytes.shrink_to(KEPT_BYTES);
            if dropped > 0 {
                tracing::warn!(lines = dropped, "log lines were dropped, because nobody read them");
            } else if ends {
                return;
            }
        }
    }
}

impl Lines {
    fn add(&self, line: &[u8]) {
        let mut pending = self.0.pending();
        if pending.bytes.len() + line.len() > PENDING_MAX_BYTES {
            pending.dropped += 1;
        } else {
            pending.bytes.extend_from_slice(line);
            if pending.bytes.len() == line.len() {
                self.0.arrived.notify_one();
            }
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// Each call is one line, as `tracing_subscriber` writes them.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.lines.0.pending().ends = true;
        self.lines.0.arrived.notify_one();
        // A reader who has stopped reading must not keep the process.
        let _ = self.finished.recv_timeout(FINISH);
    }
}

/// Writes each event as one JSON object: `timestamp`, `level`, the fields, and `target`. Spans are left out, as there are
/// none.
pub struct Json(pub Lines);

impl<S: Subscriber> Layer<S> for Json {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        thread_local! {
            static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch { line: Vec::new(), start: String::new(), second: 0 }) };
        }
        let mut scratch = SCRATCH.take();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = scratch.begin(now);
        line.extend_from_slice(b",\"level\":");
        quote(line, event.metadata().level().as_str());
        event.record(&mut Fields(line));
        line.extend_from_slice(b",\"target\":");
        quote(line, event.metadata().target());
        line.extend_from_slice(b"}\n");
        self.0.add(line);
        SCRATCH.set(scratch);
    }
}

/// One thread's memory for a line.
#[derive(Default)]
struct Scratch {
    line: Vec<u8>,
    /// What all lines of a second begin with: the calendar is not asked for each.
    start: String,
    second: u64,
}

impl Scratch {
    /// A line that has its timestamp, as RFC 3339 with microseconds.
    fn begin(&mut self, now: Duration) -> &mut Vec<u8> {
        if self.second != now.as_secs() || self.start.is_empty() {
            self.second = now.as_secs();
            let second = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(self.second)).to_string();
            self.start = format!(r#"{{"timestamp":"{}"#, second.trim_end_matches('Z'));
        }
        self.line.clear();
        self.line.extend_from_slice(self.start.as_bytes());
        let mut end = *b".000000Z\"";
        let mut micros = now.subsec_micros();
        for digit in end[1..7].iter_mut().rev() {
            *digit += (micros % 10) as u8;
            micros /= 10;
        }
        self.line.extend_from_slice(&end);
        &mut self.line
    }
}

/// Writing to memory does not fail.
fn write(line: &mut Vec<u8>, what: fmt::Arguments<'_>) {
    let _ = line.write_fmt(what);
}

/// Likewise; numbers are written several times as quickly as `fmt` does.
fn literal(line: &mut Vec<u8>, value: impl Serialize) {
    let _ = serde_json::to_writer(line, &value);
}

struct Fields<'l>(&'l mut Vec<u8>);

impl Fields<'_> {
    fn name(&mut self, field: &Field) -> &mut Vec<u8> {
        // Names are those of fields in the source.
        for part in [",\"", field.name(), "\":"] {
            self.0.extend_from_slice(part.as_bytes());
        }
        self.0
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        quote(self.name(field), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        literal(self.name(field), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        literal(self.name(field), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        literal(self.name(field), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let line = self.name(field);
        line.push(b'"');
        // What formats itself wrongly is cut off.
        let _ = write!(Escaped(line), "{value:?}");
        line.push(b'"');
    }
}

fn quote(line: &mut Vec<u8>, text: &str) {
    line.push(b'"');
    escape(line, text);
    line.push(b'"');
}

struct Escaped<'l>(&'l mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// Inside of a JSON string. What is not to be seen, or breaks a line somewhere, is escaped too, beyond what JSON asks for.
fn escape(line: &mut Vec<u8>, text: &str) {
    // Nearly all text; looked at to the end, many bytes are looked at at once.
    let is_plain = |byte| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        return line.extend_from_slice(text.as_bytes());
    }
    for c in text.chars() {
        match c {
            '"' | '\\' => write(line, format_args!("\\{c}")),
            '\n' => line.extend_from_slice(b"\\n"),
            // None of these has more than four digits.
            '\u{2028}' | '\u{2029}' => write(line, format_args!("\\u{:04x}", u32::from(c))),
            c if c.is_control() => write(line, format_args!("\\u{:04x}", u32::from(c))),
            c => line.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn line(log: impl FnOnce()) -> String {
        let (sender, receiver) = mpsc::channel();
        struct Output(mpsc::Sender<Vec<u8>>);
        impl Write for Output {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (lines, guard) = Lines::start(Output(sender)).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Json(lines)), log);
        drop(guard);
        String::from_utf8(receiver.iter().flatten().collect()).unwrap()
    }

    #[test]
    fn a_timestamp_is_rfc_3339_in_microseconds() {
        let mut scratch = Scratch::default();
        let mut begin = |nanos| String::from_utf8(scratch.begin(Duration::from_nanos(nanos)).clone()).unwrap();
        assert_eq!(begin(0), r#"{"timestamp":"1970-01-01T00:00:00.000000Z""#);
        assert_eq!(begin(1_795_600_000_012_345_999), r#"{"timestamp":"2026-11-25T09:46:40.012345Z""#);
        assert_eq!(begin(1_795_600_001_999_999_999), r#"{"timestamp":"2026-11-25T09:46:41.999999Z""#);
        assert_eq!(begin(1_795_600_001_000_001_000), r#"{"timestamp":"2026-11-25T09:46:41.000001Z""#);
    }

    #[test]
    fn an_event_is_one_line_of_json_with_its_fields() {
        let text = "quote \" backslash \\ tab \t line \n end \r\u{1b}[31m\u{2028}\u{85}é";
        let line = line(|| {
            tracing::warn!(text, number = 7_u64, less = -7, yes = true, shown = %text, nothing = None::<u64>, "said {}", 1);
        });
        assert_eq!(line.lines().count(), 1);
        assert!(line.is_ascii() || !line.contains(['\u{2028}', '\u{85}', '\u{1b}']));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((value["text"].as_str(), value["shown"].as_str()), (Some(text), Some(text)));
        assert_eq!((&value["number"], &value["less"], &value["yes"]), (&7.into(), &(-7).into(), &true.into()));
        assert_eq!((&value["message"], &value["level"]), (&"said 1".into(), &"WARN".into()));
        assert!(value["nothing"].is_null() && value["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}

/// Sends log lines to standard output, from now on. The level is that of `RUST_LOG`, and `info` without it. The guard writes
/// the last lines when it is dropped.
///
/// # Errors
/// When the system gives no thread.
pub fn start(format: Option<crate::config::LogFormat>) -> io::Result<Guard> {
    use std::io::IsTerminal;

    use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

    use crate::config::LogFormat;

    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    let (lines, guard) = Lines::start(io::stdout())?;
    let default = if io::stdout().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    let events = tracing_subscriber::registry().with(filter);
    match format.unwrap_or(default) {
        LogFormat::Json => events.with(Json(lines)).init(),
        LogFormat::Text => {
            let text = tracing_subscriber::fmt::layer().with_ansi(io::stdout().is_terminal()).with_writer(lines);
            events.with(text.log_internal_errors(false)).init();
        }
    }
    Ok(guard)
}
