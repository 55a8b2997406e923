//! Why an operation inside a transaction did not succeed.

use auth_service_records::error::{Error, Outage};

/// Why an operation did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The file cannot be read or written. The whole transaction fails.
    Storage(redb::Error),
    /// The operation stops before its first write. Other operations of the transaction continue.
    Refused(Error),
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        Self::Storage(error)
    }
}

impl From<redb::StorageError> for Failure {
    fn from(error: redb::StorageError) -> Self {
        Self::Storage(error.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Storage(error) => storage_failure(&error),
            Failure::Refused(error) => error,
        }
    }
}

/// The error of a request that could not read the file. Logs the failure, unless it only follows from an earlier one.
fn storage_failure(error: &redb::Error) -> Error {
    if !matches!(error, redb::Error::PreviousIo) {
        tracing::error!(%error, "the embedded store could not read its file");
    }
    Error::Unavailable(Outage::DiskFailed)
}
