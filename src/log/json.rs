//! Formats an event as one line of JSON: `timestamp`, `level`, the event's fields, the fields of its spans, `target`.
//!
//! The library's own JSON format, with flat fields, can write a name twice in a line, and does not escape U+2028.

use std::{fmt, time::SystemTime};

use serde::ser::SerializeMap;
use serde_json::{Deserializer, Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Layer,
    field::RecordFields,
    fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter, format::Writer},
    registry::LookupSpan,
};

use super::fields::{Fields, write_object};

/// Writes each event as one JSON object on a line of its own, in printable ASCII. Each line of a span has the fields of
/// the span. If names are equal, the innermost span wins, and the event wins over all spans.
pub(super) fn layer<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    tracing_subscriber::fmt::layer().fmt_fields(Json).event_format(Json).with_writer(writer)
}

struct Json;

impl<S> FormatEvent<S, Self> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(&self, context: &FmtContext<'_, S, Self>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let now = humantime::format_rfc3339_micros(SystemTime::now());
        write_object(&mut line, |object| {
            object.serialize_entry("timestamp", &format_args!("{now}"))?;
            object.serialize_entry("level", metadata.level().as_str())?;
            let mut inherited = span_fields(context);
            event.record(&mut Fields { object, inherited: &mut inherited });
            for (name, value) in inherited {
                object.serialize_entry(&name, &value)?;
            }
            object.serialize_entry("target", metadata.target())
        })?;
        line.write_char('\n')
    }
}

/// A span keeps its fields as a JSON object. The library adds a further object, after a space, when fields are recorded
/// later.
impl<'writer> FormatFields<'writer> for Json {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        write_object(&mut writer, |object| {
            fields.record(&mut Fields { object, inherited: &mut Map::new() });
            Ok(())
        })
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

#[cfg(test)]
mod tests {
    use std::{error::Error, fmt::Debug, io, sync::Arc, time::Duration};

    use tracing::field::Empty;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn output(log: impl FnOnce()) -> String {
        let (reader, writer) = io::pipe().unwrap();
        let subscriber = tracing_subscriber::registry().with(layer(Arc::new(writer)));
        tracing::subscriber::with_default(subscriber, log);
        io::read_to_string(reader).unwrap()
    }

    fn line(log: impl FnOnce()) -> Value {
        serde_json::from_str(&output(log)).unwrap()
    }

    #[test]
    fn an_event_is_one_flat_object() {
        let text = output(|| tracing::info!(target: "audit", event = "signed_in", number = 7, "audit"));
        let after_timestamp = r#"Z","level":"INFO","message":"audit","event":"signed_in","number":7,"target":"audit"}"#;
        assert!(text.ends_with(&format!("{after_timestamp}\n")), "{text}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn a_timestamp_is_rfc_3339_in_microseconds() {
        let before = SystemTime::now();
        let line = line(|| tracing::info!("now"));
        let text = line["timestamp"].as_str().unwrap();
        let time = humantime::parse_rfc3339(text).unwrap();
        assert_eq!(text.len(), "2026-11-25T09:46:40.012345Z".len(), "{text}");
        assert!(time + Duration::from_micros(1) > before && time <= SystemTime::now(), "{text}");
    }

    #[test]
    fn a_field_keeps_its_type() {
        let error: Box<dyn Error> = "an error".into();
        let line = line(|| {
            tracing::warn!(
                unsigned = 7_u64,
                signed = -7,
                large = u128::from(u64::MAX),
                small = i128::from(i64::MIN),
                fraction = 0.5,
                yes = true,
                none = None::<u64>,
                shown = %"text",
                debug = ?Some("text"),
                error = &*error,
                "said {}",
                1
            );
        });
        let expected = serde_json::json!({
            "timestamp": line["timestamp"], "level": "WARN", "target": module_path!(), "message": "said 1",
            "unsigned": 7, "signed": -7, "large": u64::MAX, "small": i64::MIN, "fraction": 0.5, "yes": true,
            "shown": "text", "debug": "Some(\"text\")", "error": "an error",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn no_text_forges_a_line() {
        for evil in
            ["\r\n", "\n", "\r", "\u{1b}[2K", "\u{2028}", "\u{85}", "\u{202e}", "\"}", "\\", "\0", "\u{7f}", "é𝄞"]
        {
            let forged = format!("{evil}{{\"level\":\"ERROR\"}}{evil}");
            let text = output(|| {
                let _span = tracing::info_span!("outer", in_span = forged, shown_in_span = %forged).entered();
                tracing::info!(field = forged, shown = %forged, "{forged}");
            });
            let printable = text.trim_end_matches('\n');
            assert!(printable.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text:?}");
            let line: Value = serde_json::from_str(&text).unwrap();
            for name in ["message", "field", "shown", "in_span", "shown_in_span"] {
                assert_eq!(line[name], forged, "{name} in {text}");
            }
        }
    }

    #[test]
    fn the_fields_of_all_spans_are_in_a_line_and_the_innermost_wins() {
        let line = line(|| {
            let _outer = tracing::info_span!("outer", a = "outer", b = "outer", c = "outer", only = 1).entered();
            let _inner = tracing::info_span!("inner", b = "inner", c = "inner").entered();
            tracing::info!(c = "event", "in spans");
        });
        assert_eq!((&line["a"], &line["b"], &line["c"]), (&"outer".into(), &"inner".into(), &"event".into()));
        assert_eq!((&line["only"], &line["span"]), (&1.into(), &"inner".into()));
    }

    #[test]
    fn a_field_that_a_span_gets_later_is_in_the_lines_after_that() {
        let mut lines = output(|| {
            let span = tracing::info_span!("request", user = Empty, status = 0);
            let _entered = span.enter();
            tracing::info!("before");
            span.record("user", "u1").record("status", 200);
            tracing::info!(none = None::<&str>, user = None::<&str>, "after");
        });
        let after = lines.split_off(lines.find('\n').unwrap());
        let [before, after] = [lines, after].map(|line| serde_json::from_str::<Value>(&line).unwrap());
        assert_eq!((&before["user"], &before["status"]), (&Value::Null, &0.into()));
        assert_eq!((&after["user"], &after["status"]), (&"u1".into(), &200.into()));
    }

    #[test]
    fn no_name_is_in_a_line_twice() {
        let text = output(|| {
            let _span = tracing::info_span!("outer", level = 1, target = 1, timestamp = 1, span = 1, a = 1).entered();
            tracing::info!(level = 2, target = 2, timestamp = 2, span = 2, a = 2, "reserved names");
        });
        for name in ["level", "target", "timestamp", "span", "a"] {
            assert_eq!(text.matches(&format!("\"{name}\":")).count(), 1, "{name} in {text}");
        }
        assert!(text.contains(r#""level":"INFO""#) && text.contains(r#""span":"outer""#), "{text}");
    }

    #[test]
    fn a_value_that_fails_to_write_itself_leaves_the_line_whole() {
        struct Failing;
        impl Debug for Failing {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("begun")?;
                Err(fmt::Error)
            }
        }
        let line = line(|| tracing::info!(value = ?Failing, next = 1, "partly written"));
        assert_eq!((&line["value"], &line["next"]), (&"begun".into(), &1.into()));
    }
}
