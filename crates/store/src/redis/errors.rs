//! The meaning of an error of Redis: the error of a request, and the reason for the log.

use auth_service_records::error::{Error, Outage};
use redis::{ErrorKind, RedisError};

use crate::versioned::newer_version;

/// The error code of a script that has found an entry of a later version.
const NEWER_VERSION: &str = "NEWERVERSION";

/// The codes with which Redis 6.2 to 8 and Valkey refuse our commands for now. A code that is not here, such as
/// WRONGTYPE, means a fault of this program or a foreign value, so a retry will not help.
const OUTAGES: [(&str, Outage); 20] = [
    ("LOADING", Outage::Loading),
    ("READONLY", Outage::ReadOnly),
    // A replica that has lost its primary, with replica-serve-stale-data no.
    ("MASTERDOWN", Outage::ReadOnly),
    // The primary became a replica during a WAIT.
    ("UNBLOCKED", Outage::ReadOnly),
    ("OOM", Outage::OutOfMemory),
    // Redis cannot save a snapshot or write its append-only file.
    ("MISCONF", Outage::DiskFailed),
    ("IOERR", Outage::DiskFailed),
    ("NOREPLICAS", Outage::NotReplicated),
    ("NOGOODSLAVE", Outage::NotReplicated),
    ("NOAUTH", Outage::Refused),
    ("WRONGPASS", Outage::Refused),
    // The protected mode of a server without a password.
    ("DENIED", Outage::Refused),
    ("NOPROTO", Outage::Refused),
    ("NOPERM", Outage::NotPermitted),
    // A script runs longer than busy-reply-threshold.
    ("BUSY", Outage::Busy),
    ("NOSCRIPT", Outage::Busy),
    ("CLUSTERDOWN", Outage::ClusterDown),
    ("MOVED", Outage::ClusterDown),
    ("ASK", Outage::ClusterDown),
    ("TRYAGAIN", Outage::ClusterDown),
];

/// The texts of errors whose code is only ERR.
const OUTAGES_BY_TEXT: [(&str, Outage); 3] = [
    ("max number of clients", Outage::Busy),
    // The two forms in which the versions of Redis refuse a command inside a script.
    ("The user executing the script can't", Outage::NotPermitted),
    ("ACL failure in script", Outage::NotPermitted),
];

pub(super) fn to_error(error: &RedisError) -> Error {
    if error.code() == Some(NEWER_VERSION) {
        return newer_version("a session entry");
    }
    match outage(error) {
        Some(outage) => Error::Unavailable(outage),
        // The text of the server may go to the log. It names commands and keys, and no key contains an email.
        None => Error::Internal(format!("Redis: {error}")),
    }
}

/// The outage that an error means. `None` for an error that a retry will not change.
pub(super) fn outage(error: &RedisError) -> Option<Outage> {
    if error.is_timeout() {
        return Some(Outage::Timeout);
    }
    match error.kind() {
        ErrorKind::Io => Some(Outage::Unreachable),
        ErrorKind::AuthenticationFailed | ErrorKind::RESP3NotSupported => Some(Outage::Refused),
        _ => {
            let (code, text) = code_and_text(error);
            let by_code = OUTAGES.iter().find(|(known, _)| *known == code);
            let by_text = || OUTAGES_BY_TEXT.iter().find(|(known, _)| text.contains(known));
            by_code.or_else(by_text).map(|(_, outage)| *outage)
        }
    }
}

/// Whether a server that answers refuses commands for now. Redirections and unknown scripts are a part of the normal
/// work of a connection.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    !matches!(code_and_text(error).0, "MOVED" | "ASK" | "TRYAGAIN" | "NOSCRIPT")
        && !error.is_io_error()
        && outage(error).is_some()
}

/// The code and the text of an error of the server. Before Redis 7, an error inside a script arrives as ERR with the
/// real code in the text.
fn code_and_text(error: &RedisError) -> (&str, &str) {
    let (code, text) = (error.code().unwrap_or_default(), error.detail().unwrap_or_default());
    if code != "ERR" {
        return (code, text);
    }
    let of_script = text.split_once(": -").and_then(|(_, inner)| inner.split_once(' '));
    of_script.filter(|(inner, _)| OUTAGES.iter().any(|(known, _)| known == inner)).unwrap_or((code, text))
}

/// Why a server cannot be used, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    /// Equal for two reasons that an operator would call the same.
    pub(super) kind: String,
    pub(super) text: String,
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Self { kind: text.to_owned(), text: text.to_owned() }
    }
}

/// The reason that an error gives.
pub(super) fn reason(error: &RedisError) -> Reason {
    let (code, text) = code_and_text(error);
    if !text.is_empty() && !code.is_empty() {
        // Redis 7 adds the name and the line of a script.
        let text = text.split(" script: ").next().unwrap_or_default();
        let kind = if code == "ERR" { text } else { code };
        return Reason { kind: kind.to_owned(), text: format!("{code} {text}") };
    }
    let text = error.to_string();
    Reason::from(match text.as_str() {
        _ if error.is_timeout() => "no answer in time",
        // The library's text for a connection that the server has closed.
        "broken pipe" => "the server closed the connection",
        // The text of rustls for bytes that are no TLS record.
        _ if text.starts_with("received corrupt message") => "the server does not speak TLS",
        _ if error.is_io_error() => &text,
        _ if matches!(error.kind(), ErrorKind::Parse | ErrorKind::UnexpectedReturnType) => {
            "the server does not answer as Redis does"
        }
        // The library appends its own name for the kind of the error.
        _ => text.split(" - ").next().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use redis::{Value, parse_redis_value};

    use super::*;

    fn error(line: &str) -> RedisError {
        let answer = parse_redis_value(format!("-{line}\r\n").as_bytes()).and_then(Value::extract_error);
        answer.expect_err("an error")
    }

    #[test]
    fn each_code_of_a_server_has_its_outage() {
        for (line, code) in [
            ("LOADING Redis is loading the dataset in memory", "store_loading"),
            ("READONLY You can't write against a read only replica.", "store_read_only"),
            ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "store_read_only"),
            ("UNBLOCKED force unblock from blocking operation, instance state changed", "store_read_only"),
            ("OOM command not allowed when used memory > 'maxmemory'.", "store_out_of_memory"),
            ("MISCONF Errors writing to the AOF file: No space left on device", "store_disk_failed"),
            ("NOREPLICAS Not enough good replicas to write.", "store_not_replicated"),
            ("NOAUTH Authentication required.", "store_refused"),
            ("WRONGPASS invalid username-password pair or user is disabled.", "store_refused"),
            ("DENIED Redis is running in protected mode", "store_refused"),
            ("NOPERM User svc has no permissions to run the 'mget' command", "store_not_permitted"),
            ("ERR ACL failure in script: User svc has no permissions to run the 'get' command", "store_not_permitted"),
            ("ERR max number of clients reached", "store_busy"),
            ("ERR max number of clients + cluster connections reached", "store_busy"),
            ("BUSY Redis is busy running a script. You can only call SCRIPT KILL.", "store_busy"),
            ("NOSCRIPT No matching script. Please use EVAL.", "store_busy"),
            ("CLUSTERDOWN The cluster is down", "store_cluster_down"),
            ("MOVED 1 127.0.0.1:1", "store_cluster_down"),
            ("TRYAGAIN Multiple keys request during rehashing of slot", "store_cluster_down"),
        ] {
            assert_eq!(outage(&error(line)).map(Outage::code), Some(code), "{line}");
        }
        for line in ["WRONGTYPE Operation against a key holding the wrong kind of value", "ERR unknown command 'GET'"] {
            assert_eq!(outage(&error(line)), None, "{line}");
        }
    }

    #[test]
    fn an_error_inside_a_script_of_redis_6_has_its_own_code() {
        let script =
            |inner| format!("ERR Error running script (call to f_1): @user_script:4: @user_script: 4: {inner}");
        let oom = error(&script("-OOM command not allowed when used memory > 'maxmemory'."));
        assert_eq!(outage(&oom), Some(Outage::OutOfMemory));
        assert_eq!(reason(&oom).text, "OOM command not allowed when used memory > 'maxmemory'.");
        let acl = error(&script("The user executing the script can't run this command or subcommand"));
        assert_eq!(outage(&acl), Some(Outage::NotPermitted));
    }

    #[test]
    fn a_reason_has_the_code_and_no_script() {
        let reason = reason(&error("OOM command not allowed. script: 1f, on @user_script:3."));
        assert_eq!((reason.kind.as_str(), reason.text.as_str()), ("OOM", "OOM command not allowed."));
        let timeout = std::io::Error::from(std::io::ErrorKind::TimedOut).into();
        assert_eq!(super::reason(&timeout).text, "no answer in time");
    }
}
