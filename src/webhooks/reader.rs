//! The task that reads the outbox. Every server runs it. Only the server that has the lease gets events to deliver, and
//! another one takes over when that server no longer reads.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use auth_service_records::{
    error::Error,
    outbox::{LEASE_MILLIS, OUTBOX_LIMIT, OutboxPage},
    revocation::StreamId,
};
use auth_service_token::Id;
use tokio::{sync::oneshot, task::JoinSet, time::sleep};

use super::{delivery::Delivery, lines::Lines};
use crate::log::Seldom;

/// The time between two reads of the server that delivers.
const INTERVAL: Duration = Duration::from_millis(200);
/// The time between two reads of another server.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
/// The number of events that one read brings.
const PAGE: usize = 500;
/// The largest number of lines in memory, and of events. Other events wait in the store. A line may be as long as the
/// outbox, so a user who causes very many events, such as by sign-ins, delays the events of no other user. An event takes
/// about half a kilobyte, and a line several kilobytes.
const MOST_LINES: usize = 10_000;
const MOST_EVENTS: usize = OUTBOX_LIMIT;

pub(super) struct Reader {
    delivery: Arc<Delivery>,
    /// This server, as the lease names it.
    server: Id,
    lines: Lines,
    tasks: JoinSet<()>,
    /// The place from which the next read begins.
    next: StreamId,
    /// When the last read began that kept the lease.
    leased_at: Option<Instant>,
    failures: Seldom,
}

impl Reader {
    pub(super) fn new(delivery: Arc<Delivery>, server: Id) -> Self {
        let (lines, tasks, next) = (Lines::default(), JoinSet::new(), StreamId::default());
        Self { delivery, server, lines, tasks, next, leased_at: None, failures: Seldom::new() }
    }

    /// Delivers until `stop` completes. Then waits for the requests on their way, and lets another server take over.
    pub(super) async fn run(mut self, stop: oneshot::Receiver<()>) {
        tokio::select! {
            _ = stop => {}
            () = self.follow() => {}
        }
        self.delivery.finish().await;
        self.forget();
        if let Err(error) = self.delivery.store().release_outbox(self.server).await {
            tracing::debug!(?error, "the lease of the outbox ends by itself");
        }
    }

    async fn follow(&mut self) {
        loop {
            let pause = match self.read().await {
                Ok(pause) => pause,
                Err(error) => {
                    if let Some(times) = self.failures.due() {
                        tracing::warn!(times, ?error, "the outbox of webhooks could not be read");
                    }
                    Some(IDLE_INTERVAL)
                }
            };
            // Another server may deliver the same events now.
            if self.leased_at.is_some_and(|at| at.elapsed() >= Duration::from_millis(LEASE_MILLIS)) {
                self.forget();
            }
            if let Some(pause) = pause {
                sleep(pause).await;
            }
        }
    }

    /// Reads the next events. Returns the pause before the next read, if there should be one.
    async fn read(&mut self) -> Result<Option<Duration>, Error> {
        while self.tasks.try_join_next().is_some() {}
        let events = self.lines.events();
        if events == 0 {
            // Every event of the outbox is still to be delivered, wherever it is: the store may have lost its data, and
            // later events may have any place.
            self.next = StreamId::default();
        }
        let room = MOST_EVENTS.saturating_sub(events);
        let limit = if self.lines.count() < MOST_LINES { PAGE.min(room) } else { 0 };
        let start = Instant::now();
        let page = self.delivery.store().read_outbox(self.server, self.next, limit).await?;
        self.delivery.metrics().saw(&page);
        if !page.is_ours {
            self.forget();
            return Ok(Some(IDLE_INTERVAL));
        }
        self.leased_at = Some(start);
        let is_full = limit > 0 && page.events.len() == limit;
        self.hand_out(page);
        Ok((!is_full).then_some(INTERVAL))
    }

    fn hand_out(&mut self, page: OutboxPage) {
        for event in page.events {
            self.next = event.place.next();
            if let Some(name) = self.lines.add(event) {
                let (delivery, lines) = (Arc::clone(&self.delivery), self.lines.clone());
                self.tasks.spawn(async move { delivery.deliver_line(&lines, &name).await });
            }
        }
    }

    /// Stops all deliveries. What was on its way stays in the outbox.
    fn forget(&mut self) {
        if self.leased_at.take().is_some() {
            self.tasks.abort_all();
            self.tasks = JoinSet::new();
            self.lines = Lines::default();
        }
    }
}
