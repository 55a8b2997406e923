//! Tries to deliver a mail until the SMTP server has the mail, or until the mail is lost.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    failure::{Failure, Reason},
    letter::Letter,
    message::Message,
    metrics::{Loss, Metrics},
    sender::Sender,
    settings::{Retry, Settings},
    smtp::Smtp,
    templates::Templates,
};

/// The number of connections at the same time. More would only meet the limits of SMTP servers.
const CONNECTIONS: usize = 4;
/// The pause before the first try of a mail. Without the pause, the work on the mail would slow down the answer to the
/// request that causes the mail, and the time of the answer would tell whether an account exists.
const HEAD_START: Duration = Duration::from_millis(100);

/// What the thread gets.
pub(crate) enum Task {
    /// A mail.
    Deliver(Job),
    /// A place in the queue that is free after the same pause.
    Nothing(OwnedSemaphorePermit),
}

/// A mail in the queue. A job that is dropped without an outcome counts as lost.
pub(crate) struct Job {
    message: Message,
    request_id: String,
    queued_at: Instant,
    metrics: Metrics,
    has_outcome: bool,
    /// Frees the place in the queue.
    _place: OwnedSemaphorePermit,
}

impl Job {
    pub(crate) fn new(message: Message, request_id: String, place: OwnedSemaphorePermit, metrics: Metrics) -> Self {
        Self { message, request_id, queued_at: Instant::now(), metrics, has_outcome: false, _place: place }
    }

    fn sent(mut self) {
        self.has_outcome = true;
        self.metrics.sent(self.message.kind(), self.queued_at.elapsed());
    }

    fn lost(mut self, loss: Loss, why: &str) {
        self.has_outcome = true;
        self.metrics.lost(loss);
        let (kind, reason, request_id) = (self.message.kind().name(), loss.name(), &self.request_id);
        tracing::warn!(kind, reason, request_id, "a mail is lost: {why}");
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.has_outcome {
            self.metrics.lost(Loss::Internal);
            let (kind, request_id) = (self.message.kind().name(), &self.request_id);
            tracing::error!(kind, request_id, "a mail is lost: the thread that sends mails has ended");
        }
    }
}

/// Delivers the mails of the queue.
pub(crate) struct Courier {
    smtp: Smtp,
    sender: Sender,
    templates: Templates,
    retry: Retry,
    metrics: Metrics,
    connections: Semaphore,
    /// Whether the last try has failed because of the server. The log has a line for each change.
    failing: AtomicBool,
    /// When to give up all mails. `None` until the server stops.
    stopping: watch::Receiver<Option<Instant>>,
}

impl Courier {
    pub(crate) fn new(
        settings: Settings,
        metrics: Metrics,
        stopping: watch::Receiver<Option<Instant>>,
    ) -> io::Result<Self> {
        let Settings { server, sender, templates, retry } = settings;
        Ok(Self {
            smtp: Smtp::new(server, &sender)?,
            sender,
            templates,
            retry,
            metrics,
            connections: Semaphore::new(CONNECTIONS),
            failing: AtomicBool::new(false),
            stopping,
        })
    }

    /// Leaves the processor to the answer to the request, and then delivers the mail, if there is one.
    pub(crate) async fn begin(&self, task: Task) {
        self.rest(HEAD_START).await;
        match task {
            Task::Deliver(job) => self.deliver(job).await,
            Task::Nothing(place) => drop(place),
        }
    }

    async fn deliver(&self, job: Job) {
        let letter = match Letter::write(&job.message, &self.sender, &self.templates) {
            Ok(letter) => letter,
            Err(sentence) => return job.lost(Loss::Internal, &sentence),
        };
        let mut pause = self.retry.first_pause;
        loop {
            let stopped = self.is_stopping();
            let failure = match self.attempt(&letter).await {
                Ok(()) => return job.sent(),
                Err(failure) => failure,
            };
            let loss = match failure.reason {
                Reason::Recipient => Loss::Recipient,
                Reason::Refused => Loss::Refused,
                _ if stopped || self.is_past_the_end() => Loss::Stopped,
                _ if job.queued_at.elapsed() + pause >= self.retry.give_up_after => Loss::Expired,
                _ => {
                    self.rest(pause).await;
                    pause = (pause * 2).min(self.retry.longest_pause);
                    continue;
                }
            };
            return job.lost(loss, &failure.to_string());
        }
    }

    /// Tries once. Ends at the latest when the server must have stopped.
    async fn attempt(&self, letter: &Letter) -> Result<(), Failure> {
        let attempt = async {
            // The semaphore is never closed.
            let _connection = self.connections.acquire().await;
            self.smtp.deliver(letter, self.retry.timeout).await
        };
        let result = tokio::select! {
            result = attempt => result,
            () = self.end() => return Err(Failure::new(Reason::Timeout, "the server stops")),
        };
        self.note(&result);
        result
    }

    /// Counts a failed try, and logs when the tries start to fail or to succeed.
    fn note(&self, result: &Result<(), Failure>) {
        let failing = match result {
            Ok(()) => false,
            Err(failure) => {
                self.metrics.failed(failure.reason);
                if failure.is_final() {
                    return;
                }
                true
            }
        };
        if self.failing.swap(failing, Ordering::Relaxed) != failing {
            match result {
                Err(failure) => tracing::warn!("mails cannot be sent, the server tries again: {failure}"),
                Ok(()) => tracing::info!("mails can be sent again"),
            }
        }
    }

    /// Waits before a try. While the server stops, there is no pause.
    async fn rest(&self, pause: Duration) {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = sleep(pause) => {}
            _ = stopping.wait_for(Option::is_some) => {}
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.borrow().is_some()
    }

    fn is_past_the_end(&self) -> bool {
        self.stopping.borrow().is_some_and(|end| end <= Instant::now())
    }

    /// Returns when the server must have stopped.
    async fn end(&self) {
        let mut stopping = self.stopping.clone();
        // The thread keeps the channel open.
        let end = stopping.wait_for(Option::is_some).await.ok().and_then(|end| *end);
        sleep_until(end.unwrap_or_else(Instant::now)).await;
    }
}
