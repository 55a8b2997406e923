//! Settings that take one of several words.

use super::reader::Reader;

/// Who may remove the tokens of a user over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRemoval {
    /// Anyone who knows the email, as in the Flask service that this server replaces.
    Open,
    /// The owner, with an access token.
    Owner,
    /// Nobody over HTTP. The command line still can.
    Off,
}

/// The header in which trusted proxies report the address of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAddressHeader {
    /// `X-Forwarded-For`, which most proxies set.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// JSON for programs, one object on each line.
    Json,
}

/// Who may remove the tokens of a user over HTTP.
pub(super) fn token_removal(reader: &mut Reader<'_>) -> TokenRemoval {
    let choices = [("open", TokenRemoval::Open), ("owner", TokenRemoval::Owner), ("off", TokenRemoval::Off)];
    reader.choice("TOKEN_REMOVAL", TokenRemoval::Open, &choices)
}

/// The header that trusted proxies report addresses in.
pub(super) fn client_address_header(reader: &mut Reader<'_>) -> ClientAddressHeader {
    let choices =
        [("X-Forwarded-For", ClientAddressHeader::XForwardedFor), ("Forwarded", ClientAddressHeader::Forwarded)];
    reader.choice("CLIENT_ADDRESS_HEADER", ClientAddressHeader::XForwardedFor, &choices)
}

/// The format of log lines. `None`: text on a terminal, else JSON.
pub(super) fn log_format(reader: &mut Reader<'_>) -> Option<LogFormat> {
    let choices = [("text", Some(LogFormat::Text)), ("json", Some(LogFormat::Json))];
    reader.choice("LOG_FORMAT", None, &choices)
}
