//! The keys of `SIGNING_KEY_FILE`. The first signs, and all verify. The file is read again at intervals, so that a
//! renewed file needs no restart.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use auth_service_records::file;
use auth_service_token::{KeySet, Keys};
use tokio::time::sleep;

use super::pem::signing_keys;

/// How often the file is read again.
const INTERVAL: Duration = Duration::from_secs(1);

/// The keys of a file.
pub(super) struct KeyFile {
    path: PathBuf,
    keys: Keys,
    /// The text that gave the keys.
    text: Vec<u8>,
    /// The last fault that was logged. `None` once the file is right again.
    reported: Option<String>,
}

impl KeyFile {
    /// Reads the file.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(super) fn open(path: &Path, keys: Keys) -> Result<Self, String> {
        let mut file = Self { path: path.to_owned(), keys, text: Vec::new(), reported: None };
        file.read()?;
        Ok(file)
    }

    /// Reads the file again and again.
    pub(super) async fn watch(mut self) {
        loop {
            sleep(INTERVAL).await;
            match self.read() {
                Ok(()) => self.reported = None,
                Err(fault) if self.reported.as_ref() == Some(&fault) => {}
                Err(fault) => {
                    tracing::warn!("{fault}; the server keeps the keys that it has");
                    self.reported = Some(fault);
                }
            }
            // These keys are the server's own, so nothing can make them outdated.
            self.keys.confirm(Instant::now());
        }
    }

    fn read(&mut self) -> Result<(), String> {
        let text = file::read(&self.path)
            .map_err(|error| format!("SIGNING_KEY_FILE names a file that cannot be read: {}", error.kind()))?;
        if text == self.text {
            return Ok(());
        }
        let found = signing_keys(&text).map_err(|rest| format!("SIGNING_KEY_FILE {rest}"))?;
        let verifying: Vec<_> = found.iter().map(|key| *key.verifying_key()).collect();
        let signing = found.into_iter().next().map(Arc::new);
        if let Some(key) = &signing {
            tracing::info!(kid = %key.verifying_key().kid(), "access tokens are signed with the first key of SIGNING_KEY_FILE");
        }
        self.keys.replace(KeySet::new(&verifying, signing), Instant::now());
        self.text = text;
        Ok(())
    }
}
