//! Formats an event as one line of JSON: `timestamp`, `level`, the event's fields, the fields of its spans, `target`.
//!
//! The library's own JSON format nests the fields and collects them in a map for each event, which takes twice as long.

use std::{
    fmt::{self, Debug, Display},
    io, str,
    time::SystemTime,
};

use serde::{Serialize, Serializer as _, ser::SerializeMap};
use serde_json::{Deserializer, Map, Serializer, Value, ser::Formatter};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    field::RecordFields,
    fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter, format::Writer},
    registry::LookupSpan,
};

/// The names that each line uses itself. A field of the same name is left out, so that no name is in a line twice.
const RESERVED: [&str; 4] = ["timestamp", "level", "span", "target"];

/// Writes each event as one JSON object on a line of its own, in printable ASCII. The field of a span is in each line of
/// the span; where names are the same, the innermost span wins, and the event wins over all spans.
pub fn layer<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    // A line that cannot be written is lost. The library would report the error with a macro that panics when standard
    // error is closed too.
    tracing_subscriber::fmt::layer().fmt_fields(Json).event_format(Json).log_internal_errors(false).with_writer(writer)
}

struct Json;

impl<S> FormatEvent<S, Self> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(&self, context: &FmtContext<'_, S, Self>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let write = |line: &mut Writer<'_>| {
            let mut serializer = Serializer::with_formatter(Utf8(line), Ascii);
            let mut object = serializer.serialize_map(None)?;
            let metadata = event.metadata();
            let now = humantime::format_rfc3339_micros(SystemTime::now());
            object.serialize_entry("timestamp", &format_args!("{now}"))?;
            object.serialize_entry("level", metadata.level().as_str())?;
            let mut inherited = span_fields(context);
            event.record(&mut Fields { object: &mut object, inherited: &mut inherited });
            for (name, value) in inherited {
                object.serialize_entry(&name, &value)?;
            }
            object.serialize_entry("target", metadata.target())?;
            object.end()
        };
        write(&mut line).map_err(|_: serde_json::Error| fmt::Error)?;
        line.write_char('\n')
    }
}

/// A span keeps its fields as a JSON object. The library adds a further object, after a space, when fields are recorded
/// later.
impl<'writer> FormatFields<'writer> for Json {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut serializer = Serializer::with_formatter(Utf8(&mut writer), Ascii);
        let mut object = serializer.serialize_map(None).map_err(|_| fmt::Error)?;
        fields.record(&mut Fields { object: &mut object, inherited: &mut Map::new() });
        object.end().map_err(|_| fmt::Error)
    }
}

/// The fields of all spans around an event, and the innermost span's name as `span`.
fn span_fields<S>(context: &FmtContext<'_, S, Json>) -> Map<String, Value>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut all = Map::new();
    let Some(scope) = context.event_scope() else { return all };
    for span in scope.from_root() {
        if let Some(fields) = span.extensions().get::<FormattedFields<Json>>() {
            let objects = Deserializer::from_str(fields).into_iter::<Map<String, Value>>();
            all.extend(objects.map_while(Result::ok).flatten());
        }
        all.insert("span".to_owned(), span.name().into());
    }
    all
}

/// Writes fields as entries of a JSON object, and takes them out of the `inherited` ones.
struct Fields<'l, M> {
    object: &'l mut M,
    inherited: &'l mut Map<String, Value>,
}

impl<M: SerializeMap> Fields<'_, M> {
    fn entry(&mut self, field: &Field, value: &(impl Serialize + ?Sized)) {
        if RESERVED.contains(&field.name()) {
            return;
        }
        self.inherited.remove(field.name());
        // Writing to memory does not fail.
        let _ = self.object.serialize_entry(field.name(), value);
    }
}

impl<M: SerializeMap> Visit for Fields<'_, M> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.entry(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.entry(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.entry(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.entry(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.entry(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.entry(field, &Shown(value));
    }
}

/// The text that a value's `Debug` writes. If `Debug` fails, the text ends there and the line stays whole.
struct Shown<'v>(&'v dyn Debug);

impl Serialize for Shown<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = write!(f, "{:?}", self.0);
        Ok(())
    }
}

/// Escapes all but printable ASCII, so that no text can start a line, move a terminal's cursor or hide a part of a line.
struct Ascii;

impl Formatter for Ascii {
    /// `serde_json` escapes quotes, backslashes and the control characters below the space before it calls this.
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, line: &mut W, text: &str) -> io::Result<()> {
        // No early exit, so that the compiler can vectorise the loop.
        if text.bytes().fold(true, |plain, byte| plain & (byte < b'\x7f')) {
            return line.write_all(text.as_bytes());
        }
        for c in text.chars() {
            match c {
                ' '..='~' => line.write_all(&[c as u8])?,
                _ => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(line, "\\u{unit:04x}"))?,
            }
        }
        Ok(())
    }
}

/// What `serde_json` writes, which is whole characters in each call.
struct Utf8<'l, 'w>(&'l mut Writer<'w>);

impl io::Write for Utf8<'_, '_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let text = str::from_utf8(text).map_err(io::Error::other)?;
        self.0.write_str(text).map_err(io::Error::other)?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
