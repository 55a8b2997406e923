//! The audit trail: one structured line for each security event, under the target `audit`, which `RUST_LOG=audit=off`
//! turns off. The metrics count every event, even then.

mod event;
mod metrics;

use std::net::IpAddr;

use auth_service_records::user::Email;
use auth_service_token::Id;
use uuid::Uuid;

pub use self::{event::Event, metrics::Metrics};
use crate::{
    log::{TRAIL, Trail},
    trace::TraceContext,
};

/// The client of a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The client's address, as trusted proxies report it.
    pub address: IpAddr,
    /// The request's id.
    pub request_id: String,
    /// The request's place in a trace.
    pub trace: Option<TraceContext>,
}

/// The user of an event, as far as the user is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    /// The user's id.
    pub user_id: Option<Uuid>,
    /// The session's id.
    pub session_id: Option<Id>,
    /// Written only with `AUDIT_EMAILS=on`.
    pub email: Option<&'a Email>,
}

impl Subject<'_> {
    /// A user's session.
    #[must_use]
    pub fn session(user_id: Uuid, session_id: Id) -> Self {
        Self { user_id: Some(user_id), session_id: Some(session_id), email: None }
    }
}

/// Writes the audit trail, and counts its events.
#[derive(Clone)]
pub struct Audit {
    /// Whether lines may hold email addresses.
    pub emails: bool,
    /// Where the lines go.
    pub trail: Trail,
    /// The counts.
    pub metrics: Metrics,
}

impl Audit {
    /// Writes one line, and counts the event.
    pub fn record(&self, event: Event, caller: &Caller, subject: Subject<'_>) {
        self.metrics.count(event);
        let mut text = Uuid::encode_buffer();
        let user_id = subject.user_id.map(|id| &*id.hyphenated().encode_lower(&mut text));
        let session_id = subject.session_id.as_ref().map(Id::as_str);
        let email = subject.email.filter(|_| self.emails).map(Email::as_str);
        let Caller { address, request_id, trace } = caller;
        let (trace_id, span_id) = trace.as_ref().map(TraceContext::ids).unzip();
        let event = event.name();
        tracing::info!(
            target: TRAIL,
            event,
            user_id,
            session_id,
            email,
            %address,
            request_id,
            trace_id,
            span_id,
            "audit"
        );
    }
}

/// Warns of a setting that a careful operator would change.
pub fn settings_warning(setting: &str, message: &str) {
    tracing::warn!(target: TRAIL, event = "settings_warning", setting, "{message}");
}
