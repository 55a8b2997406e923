//! The place of a request in a trace: the header `traceparent` (<https://www.w3.org/TR/trace-context-2/>).

use std::str;

/// `00-<trace id>-<span id>-<flags>`, in lower-case hexadecimal.
const LENGTH: usize = 55;
/// The flags that version 00 defines: sampled, and random trace id.
const KNOWN_FLAGS: u32 = 0b11;

/// The trace of a request, and the current span in this trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext([u8; LENGTH]);

impl TraceContext {
    /// Reads a header. Returns `None` if the header is not valid. The server must then act as if there were no header.
    #[must_use]
    pub fn parse(header: &[u8]) -> Option<Self> {
        let (fields, rest) = header.split_first_chunk::<LENGTH>()?;
        let mut parts = fields.split(|byte| *byte == b'-');
        let mut next = |digits| parts.next().filter(|part| part.len() == digits && part.iter().all(is_hexadecimal));
        let (version, trace_id, span_id, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        // Later versions may have more fields.
        let ends = rest.is_empty() || (version != b"00" && rest.starts_with(b"-"));
        if !ends || version == b"ff" || is_zero(trace_id) || is_zero(span_id) {
            return None;
        }
        let known = char::from(flags[1]).to_digit(16)? & KNOWN_FLAGS;
        let mut text = *fields;
        text[..2].copy_from_slice(b"00");
        text[LENGTH - 2..].copy_from_slice(&[b'0', b'0' + u8::try_from(known).ok()?]);
        Some(Self(text))
    }

    /// The value of the headers `traceparent` and `traceresponse`, in version 00.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.field(0, LENGTH)
    }

    /// The id of the trace, of 32 digits, and the id of the span, of 16 digits.
    #[must_use]
    pub fn ids(&self) -> (&str, &str) {
        (self.field(3, 32), self.field(36, 16))
    }

    /// The flags. The lowest bit says that the caller records the trace.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.0[LENGTH - 1] - b'0'
    }

    fn field(&self, start: usize, length: usize) -> &str {
        // All characters are ASCII, so the fallback is never used.
        str::from_utf8(&self.0[start..start + length]).unwrap_or_default()
    }
}

fn is_hexadecimal(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_zero(id: &[u8]) -> bool {
    id.iter().all(|digit| *digit == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn read(header: &str) -> Option<String> {
        TraceContext::parse(header.as_bytes()).map(|context| context.as_str().to_owned())
    }

    #[test]
    fn a_valid_header_is_read() {
        let header = format!("00-{TRACE}-{SPAN}-01");
        let context = TraceContext::parse(header.as_bytes()).unwrap();
        assert_eq!((context.as_str(), context.ids(), context.flags()), (&*header, (TRACE, SPAN), 1));
    }

    #[test]
    fn only_the_known_flags_of_any_version_are_passed_on() {
        let flags = [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("04", "00"), ("ff", "03"), ("f1", "01")];
        for (sent, passed_on) in flags {
            for version in ["00", "01", "cc", "fe"] {
                let expected = format!("00-{TRACE}-{SPAN}-{passed_on}");
                assert_eq!(read(&format!("{version}-{TRACE}-{SPAN}-{sent}")), Some(expected));
            }
        }
    }

    #[test]
    fn a_later_version_may_have_more_fields() {
        let expected = Some(format!("00-{TRACE}-{SPAN}-01"));
        assert_eq!(read(&format!("cc-{TRACE}-{SPAN}-01-what-the-future-brings")), expected);
        assert_eq!(read(&format!("cc-{TRACE}-{SPAN}-01-")), expected);
        assert_eq!(read(&format!("cc-{TRACE}-{SPAN}-01.what")), None);
        assert_eq!(read(&format!("cc-{TRACE}-{SPAN}-011")), None);
    }

    #[test]
    fn any_other_header_is_not_valid() {
        let (zero_trace, zero_span) = ("0".repeat(32), "0".repeat(16));
        let (upper_trace, upper_span) = (TRACE.to_uppercase(), SPAN.to_uppercase());
        for header in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-011"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-0{TRACE}-{SPAN}-01"),
            format!("0g-{TRACE}-{SPAN}-01"),
            format!("00-{zero_trace}-{SPAN}-01"),
            format!("00-{TRACE}-{zero_span}-01"),
            format!("00-{upper_trace}-{SPAN}-01"),
            format!("00-{TRACE}-{upper_span}-01"),
            format!("00-{TRACE}{SPAN}-01-"),
            format!("00-{TRACE}0-{}-01", &SPAN[1..]),
            format!("00_{TRACE}_{SPAN}_01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01"),
            format!("00-{}\u{e9}-{SPAN}-01", &TRACE[2..]),
        ] {
            assert_eq!(read(&header), None, "{header}");
        }
    }
}
