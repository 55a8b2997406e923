//! The record of a security event.

use auth_service_records::error::Error;

use super::service::Auth;
use crate::audit::{Caller, Event, Subject};

impl Auth {
    /// Writes an event into the audit trail. A use case calls this after its change, and before its answer.
    ///
    /// # Errors
    /// An error of the store. The change has happened nevertheless.
    // The outbox of webhooks comes next.
    #[expect(clippy::unused_async, reason = "the outbox of webhooks comes next")]
    pub(super) async fn record(&self, event: Event, caller: &Caller, subject: Subject<'_>) -> Result<(), Error> {
        self.parts.audit.record(event, caller, subject);
        Ok(())
    }
}
