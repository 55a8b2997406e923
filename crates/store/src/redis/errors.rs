//! Maps an error of Redis to the error of a request.

use auth_service_records::error::{Error, Outage};
use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::versioned::newer_version;

/// The error code of a script that has found an entry of a later version.
const NEWER_VERSION: &str = "NEWERVERSION";

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
        ErrorKind::Io => return Some(Outage::Unreachable),
        ErrorKind::AuthenticationFailed => return Some(Outage::Refused),
        ErrorKind::Server(kind) => match kind {
            ServerErrorKind::BusyLoading => return Some(Outage::Loading),
            ServerErrorKind::ReadOnly => return Some(Outage::ReadOnly),
            ServerErrorKind::ResponseError => {}
            _ => return Some(Outage::Refused),
        },
        _ => {}
    }
    // Before Redis 7, an error inside a script arrives as ERR with the real code in the text.
    let (code, text) = (error.code().unwrap_or_default(), error.detail().unwrap_or_default());
    let is = |wanted: &str| code == wanted || (code == "ERR" && text.contains(wanted));
    if is("OOM") {
        Some(Outage::OutOfMemory)
    } else if is("NOREPLICAS") {
        Some(Outage::NotReplicated)
    } else if is("READONLY") || is("MISCONF") {
        Some(Outage::ReadOnly)
    } else if text.contains("The user executing the script can't")
        || ["NOAUTH", "WRONGPASS", "NOPERM", "BUSY", "UNBLOCKED", "NOGOODSLAVE"].contains(&code)
    {
        Some(Outage::Refused)
    } else {
        None
    }
}
