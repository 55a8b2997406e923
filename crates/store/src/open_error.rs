//! Why a store could not be opened.

use std::{io, path::Path};

/// Why a store could not be opened. The text says what to do.
#[derive(Debug)]
pub enum OpenError {
    /// A setting is wrong.
    Settings(String),
    /// Everything else.
    Failed(String),
}

impl OpenError {
    pub(crate) fn in_directory(directory: &Path, error: &io::Error) -> Self {
        Self::Failed(format!(
            "DATA_DIR {} cannot be used: {error}; name a directory that this user can create or write to",
            directory.display()
        ))
    }

    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Settings(message) | Self::Failed(message) => message,
        }
    }
}
