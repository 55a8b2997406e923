//! The metrics of the mails.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{failure::Reason, message::Kind};

/// The bounds reach from a server nearby to the age at which a mail is given up.
const SECONDS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1_800.0];

/// Why a mail was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The SMTP server refuses the address of the user.
    Recipient,
    /// The SMTP server refuses the sender or the mail.
    Refused,
    /// No try has succeeded for too long.
    Expired,
    /// This server has stopped before a try has succeeded.
    Stopped,
    /// The queue had no place.
    QueueFull,
    /// A fault of this server.
    Internal,
}

impl Loss {
    const ALL: [Self; 6] =
        [Self::Recipient, Self::Refused, Self::Expired, Self::Stopped, Self::QueueFull, Self::Internal];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Stopped => "stopped",
            Self::QueueFull => "queue_full",
            Self::Internal => "internal",
        }
    }
}

type Counts = Family<[(&'static str, &'static str); 1], Counter>;

/// Clones share the values.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    sent: Counts,
    failed: Counts,
    lost: Counts,
    durations: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let (sent, failed, lost) = (Counts::default(), Counts::default(), Counts::default());
        // Without the 0, `increase` misses the first of each, and no alert fires.
        for kind in Kind::ALL {
            drop(sent.get_or_create(&[("kind", kind.name())]));
        }
        for reason in Reason::ALL {
            drop(failed.get_or_create(&[("reason", reason.name())]));
        }
        for loss in Loss::ALL {
            drop(lost.get_or_create(&[("reason", loss.name())]));
        }
        Self { sent, failed, lost, durations: Histogram::new(SECONDS) }
    }
}

impl Metrics {
    /// Counts a mail that the SMTP server has taken at this age.
    pub(crate) fn sent(&self, kind: Kind, age: Duration) {
        self.sent.get_or_create(&[("kind", kind.name())]).inc();
        self.durations.observe(age.as_secs_f64());
    }

    /// Counts a failed try.
    pub(crate) fn failed(&self, reason: Reason) {
        self.failed.get_or_create(&[("reason", reason.name())]).inc();
    }

    /// Counts a mail that nobody tries to send any more.
    pub(crate) fn lost(&self, loss: Loss) {
        self.lost.get_or_create(&[("reason", loss.name())]).inc();
    }

    /// Adds the metrics to a registry. `queued` is called whenever the metrics are read.
    pub(crate) fn register(&self, registry: &mut Registry, queued: impl Fn() -> usize + Send + Sync + 'static) {
        let Self { sent, failed, lost, durations } = self.clone();
        registry.register("mails_sent", "Mails that the SMTP server has taken, by kind", sent);
        registry.register("mail_tries_failed", "Failed tries to deliver a mail, by reason", failed);
        registry.register("mails_lost", "Mails that nobody tries to send any more, by reason", lost);
        registry.register_with_unit(
            "mail_delivery",
            "Time from the place in the queue until the SMTP server has taken the mail",
            Unit::Seconds,
            durations,
        );
        registry.register_collector(Box::new(Queued(Arc::new(queued))));
    }
}

/// The length of the queue, read at each scrape.
#[derive(Clone)]
struct Queued(Arc<dyn Fn() -> usize + Send + Sync>);

impl Collector for Queued {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Mails that wait for their delivery.";
        let encoder = encoder.encode_descriptor("mails_queued", help, None, MetricType::Gauge)?;
        #[expect(clippy::cast_precision_loss, reason = "the queue has at most 1,000 places")]
        ConstGauge::new((self.0)() as f64).encode(encoder)
    }
}

impl fmt::Debug for Queued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queued")
    }
}
