//! Writes the fields of an event or of a span as a JSON object in printable ASCII.

use std::{
    fmt::{self, Debug, Display},
    io, str,
};

use serde::{Serialize, Serializer as _, ser::SerializeMap};
use serde_json::{Map, Serializer, Value, ser::Formatter};
use tracing::field::{Field, Visit};
use tracing_subscriber::fmt::format::Writer;

/// The names that each line uses itself. A field of the same name is left out, so that no name is in a line twice.
const RESERVED: [&str; 4] = ["timestamp", "level", "span", "target"];
/// The initial capacity of a line. Most lines need no more.
const USUAL_BYTES: usize = 512;

/// A JSON object that is being written.
pub(super) type Object<'a> = <&'a mut Serializer<&'a mut Vec<u8>, Ascii> as serde::Serializer>::SerializeMap;

/// Writes a JSON object with the entries that `add_entries` adds.
///
/// # Errors
/// When `add_entries` or `writer` fails.
pub(super) fn write_object<F>(writer: &mut Writer<'_>, add_entries: F) -> fmt::Result
where
    F: FnOnce(&mut Object<'_>) -> serde_json::Result<()>,
{
    // `serde_json` writes many small pieces, which is slow through the dynamic calls of a `Writer`.
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    let mut serializer = Serializer::with_formatter(&mut bytes, Ascii);
    let written = serializer.serialize_map(None).and_then(|mut object| {
        add_entries(&mut object)?;
        object.end()
    });
    written.map_err(|_| fmt::Error)?;
    writer.write_str(str::from_utf8(&bytes).map_err(|_| fmt::Error)?)
}

/// Writes fields as entries of a JSON object, and removes their names from the `inherited` fields.
pub(super) struct Fields<'l, 'o: 'l> {
    pub(super) object: &'l mut Object<'o>,
    pub(super) inherited: &'l mut Map<String, Value>,
}

impl Fields<'_, '_> {
    fn entry(&mut self, field: &Field, value: &(impl Serialize + ?Sized)) {
        if RESERVED.contains(&field.name()) {
            return;
        }
        self.inherited.remove(field.name());
        // Writing to memory does not fail.
        let _ = self.object.serialize_entry(field.name(), value);
    }
}

impl Visit for Fields<'_, '_> {
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

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.entry(field, &value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
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

/// Escapes everything except printable ASCII, so that no text can start a line, move a terminal's cursor or hide a part
/// of a line.
pub(super) struct Ascii;

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
