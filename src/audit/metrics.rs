//! The metrics of events.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::event::Event;

/// Counts events. Clones share their counts.
#[derive(Debug, Clone)]
pub struct Metrics {
    events: Family<EventLabel, Counter>,
    sessions_opened: Counter,
    endings: Counter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabel {
    event: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let events = Family::default();
        // Without the 0, `increase` misses the first event.
        for event in Event::ALL {
            drop(events.get_or_create(&EventLabel { event: event.name() }));
        }
        Self { events, sessions_opened: Counter::default(), endings: Counter::default() }
    }
}

impl Metrics {
    /// Counts one event.
    pub(super) fn count(&self, event: Event) {
        self.events.get_or_create(&EventLabel { event: event.name() }).inc();
        match event {
            Event::SignedIn => self.sessions_opened.inc(),
            Event::SessionEnded
            | Event::TokenReused
            | Event::TokensRemoved
            | Event::PasswordChanged
            | Event::PasswordReset
            | Event::EmailChanged
            | Event::UserDeleted => self.endings.inc(),
            Event::SignedUp
            | Event::SignInFailed
            | Event::SecondFactorRequired
            | Event::SecondFactorFailed
            | Event::TotpEnabled
            | Event::TotpDisabled
            | Event::Throttled
            | Event::Refreshed
            | Event::Renewed
            | Event::PasswordResetRequested
            | Event::EmailVerificationRequested
            | Event::EmailVerified
            | Event::EmailChangeRequested => return,
        };
    }

    /// Adds the metrics to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("events", "Security events, as the audit trail names them", self.events.clone());
        registry.register("sessions_opened", "Sessions that sign-ins have opened", self.sessions_opened.clone());
        let help = "Requests that ended one or more sessions";
        registry.register("sessions_ended", help, self.endings.clone());
    }
}
