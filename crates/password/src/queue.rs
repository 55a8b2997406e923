//! The queue of jobs for the hashing threads: bounded by time, and fair among clients.
//!
//! Clients take turns (round robin), so a flood from one client delays a job of another client by one job. The queue
//! immediately refuses a job that could not end before its deadline. This file uses no lock and no clock, so its tests
//! need no threads.

use std::{collections::VecDeque, time::Instant};

use auth_service_records::error::Error;
use auth_service_token::Id;

use crate::estimate::Estimate;

/// The waiting jobs.
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Queue<T> {
    /// Clients that have waiting jobs, in the order of their turns.
    clients: VecDeque<Client<T>>,
    /// Number of waiting jobs.
    waiting: usize,
    /// The maximum number of waiting jobs. It bounds the memory if hashes are so cheap that too many jobs would meet
    /// the deadline.
    capacity: usize,
    /// Tells whether a job would end too late.
    pub(crate) estimate: Estimate,
}

#[cfg_attr(test, derive(Clone))]
struct Client<T> {
    id: Id,
    /// Never empty; the oldest job is first.
    jobs: VecDeque<Queued<T>>,
}

/// Why a job does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The job would end after its deadline.
    Late,
    /// The queue is full, and no other client has at least two more jobs in it.
    QueueFull,
    /// The queue was full, and a client with fewer jobs got the place of this job.
    Replaced,
    /// The deadline passed while the job was in the queue.
    Expired,
    /// No thread runs.
    Unavailable,
}

impl Refusal {
    /// Every reason.
    pub(crate) const ALL: [Self; 5] = [Self::Late, Self::QueueFull, Self::Replaced, Self::Expired, Self::Unavailable];

    /// The name in the metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::QueueFull => "queue_full",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
            Self::Unavailable => "unavailable",
        }
    }

    /// The error that the caller gets.
    pub(crate) fn error(self) -> Error {
        if self == Self::Unavailable { Error::HashingUnavailable } else { Error::Overloaded }
    }
}

/// A job, the time of its arrival, and the time at which its caller stops waiting.
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Queued<T> {
    /// The job itself.
    pub(crate) job: T,
    /// When the job came.
    pub(crate) arrival: Instant,
    /// When the answer is due.
    pub(crate) deadline: Instant,
}

/// How many threads serve the queue.
#[derive(Clone, Copy)]
pub(crate) struct Threads {
    /// The number of running threads. The queue needs at least one.
    pub(crate) running: usize,
    /// The number of running threads that have no job.
    pub(crate) idle: usize,
}

impl<T> Queue<T> {
    /// An empty queue for at most `capacity` jobs.
    pub(crate) fn new(capacity: usize, estimate: Estimate) -> Self {
        Self { clients: VecDeque::new(), waiting: 0, capacity, estimate }
    }

    /// The number of waiting jobs.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Checks whether [`Queue::push`] would accept a job of `client`.
    ///
    /// # Errors
    /// [`Refusal::Late`] if the job would end after its deadline. [`Refusal::QueueFull`] if the queue is full and no
    /// other client has at least two more jobs than `client`.
    pub(crate) fn check_admission(&self, client: Id, threads: Threads) -> Result<(), Refusal> {
        let own = self.jobs_of(client);
        let before = self.jobs_before(client, own) + threads.running - threads.idle;
        let in_time = self.estimate.is_in_time(before, threads.running);
        let has_room = self.waiting < self.capacity || self.clients.iter().any(|other| other.jobs.len() > own + 1);
        match (in_time, has_room) {
            (true, true) => Ok(()),
            (true, false) => Err(Refusal::QueueFull),
            (false, _) => Err(Refusal::Late),
        }
    }

    /// Adds a job of `client`. If the queue is full, the job replaces a job of another client, and the replaced job is
    /// returned.
    ///
    /// # Errors
    /// As [`Queue::check_admission`].
    pub(crate) fn push(&mut self, client: Id, job: T, now: Instant, threads: Threads) -> Result<Option<T>, Refusal> {
        self.check_admission(client, threads)?;
        let evicted = if self.waiting < self.capacity { None } else { self.evict() };
        let queued = Queued { job, arrival: now, deadline: now + self.estimate.deadline() };
        match self.clients.iter_mut().find(|other| other.id == client) {
            Some(client) => client.jobs.push_back(queued),
            None => self.clients.push_back(Client { id: client, jobs: VecDeque::from([queued]) }),
        }
        self.waiting += 1;
        Ok(evicted)
    }

    /// Takes the oldest job of the client whose turn it is. The caller checks the deadline.
    pub(crate) fn take(&mut self) -> Option<Queued<T>> {
        let mut client = self.clients.pop_front()?;
        let queued = client.jobs.pop_front()?;
        if !client.jobs.is_empty() {
            self.clients.push_back(client);
        }
        self.waiting -= 1;
        Some(queued)
    }

    fn jobs_of(&self, client: Id) -> usize {
        self.clients.iter().find(|other| other.id == client).map_or(0, |client| client.jobs.len())
    }

    /// The number of waiting jobs that run before a new job of `client`, which has `own` waiting jobs already.
    fn jobs_before(&self, client: Id, own: usize) -> usize {
        // The clients ahead of this client have one more turn before the new job.
        let mut turns = own + 1;
        let mut before = 0;
        for other in &self.clients {
            if other.id == client {
                turns = own;
            }
            before += other.jobs.len().min(turns);
        }
        before
    }

    /// Removes the newest job of the client with the most jobs.
    fn evict(&mut self) -> Option<T> {
        let evicted = self.clients.iter_mut().max_by_key(|client| client.jobs.len())?.jobs.pop_back()?;
        self.waiting -= 1;
        Some(evicted.job)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HASH: Duration = Duration::from_millis(10);
    const DEADLINE: Duration = Duration::from_millis(100);
    const ONE_BUSY: Threads = Threads { running: 1, idle: 0 };

    fn client(name: &str) -> Id {
        Id::digest(name.as_bytes())
    }

    fn queue() -> Queue<String> {
        Queue::new(1_000, Estimate::new(HASH, DEADLINE))
    }

    /// Pushes jobs of a client until one is refused. Returns the number of accepted jobs.
    fn flood(queue: &mut Queue<String>, name: &str, threads: Threads) -> usize {
        let mut push = |n| queue.push(client(name), format!("{name}{n}"), Instant::now(), threads);
        (0..).take_while(|n| push(*n).is_ok()).count()
    }

    fn push(queue: &mut Queue<String>, job: &str, threads: Threads) -> Result<Option<String>, Refusal> {
        queue.push(client(&job[..1]), job.to_owned(), Instant::now(), threads)
    }

    fn drain(queue: &mut Queue<String>) -> Vec<String> {
        std::iter::from_fn(|| queue.take()).map(|queued| queued.job).collect()
    }

    #[test]
    fn clients_take_turns() {
        let mut queue = queue();
        for job in ["a1", "a2", "a3", "b1", "c1", "b2"] {
            push(&mut queue, job, ONE_BUSY).unwrap();
        }
        assert_eq!(queue.take().unwrap().job, "a1");
        // A client that joins waits for one job of each other client.
        push(&mut queue, "d1", ONE_BUSY).unwrap();
        assert_eq!(drain(&mut queue), ["b1", "c1", "a2", "d1", "b2", "a3"]);
        assert_eq!(queue.waiting, 0);
    }

    #[test]
    fn a_client_is_admitted_though_another_has_filled_the_queue() {
        let mut queue = queue();
        assert_eq!(flood(&mut queue, "a", ONE_BUSY), 9);
        assert_eq!(queue.check_admission(client("a"), ONE_BUSY), Err(Refusal::Late));
        assert!(queue.check_admission(client("b"), ONE_BUSY).is_ok());
        assert_eq!(flood(&mut queue, "b", ONE_BUSY), 4, "every second turn is for a");
        assert_eq!(flood(&mut queue, "c", ONE_BUSY), 3, "every third turn is for c");
        assert_eq!(flood(&mut queue, "a", ONE_BUSY), 0);
    }

    #[test]
    fn the_estimate_is_the_place_where_the_job_will_run() {
        let mut queue = Queue::new(1_000, Estimate::new(HASH, DEADLINE * 100));
        for job in ["a1", "a2", "a3", "a4", "b1", "b2", "c1", "b3"] {
            push(&mut queue, job, ONE_BUSY).unwrap();
        }
        for taken in 0..8 {
            for name in ["a", "b", "c", "d"] {
                let expected = queue.jobs_before(client(name), queue.jobs_of(client(name)));
                let mut copy = queue.clone();
                push(&mut copy, &format!("{name}!"), ONE_BUSY).unwrap();
                let place = drain(&mut copy).iter().position(|job| job.ends_with('!')).unwrap();
                assert_eq!(place, expected, "{name} after {taken}");
            }
            queue.take();
        }
    }

    #[test]
    fn a_full_queue_drops_the_latest_job_of_the_client_with_the_most() {
        let mut queue = Queue::new(4, Estimate::new(HASH, DEADLINE * 100));
        for job in ["a1", "a2", "a3", "b1"] {
            assert_eq!(push(&mut queue, job, ONE_BUSY).unwrap(), None);
        }
        assert_eq!(push(&mut queue, "a4", ONE_BUSY), Err(Refusal::QueueFull));
        assert_eq!(queue.check_admission(client("a"), ONE_BUSY), Err(Refusal::QueueFull));
        assert_eq!(push(&mut queue, "c1", ONE_BUSY).unwrap().as_deref(), Some("a3"));
        for job in ["b2", "c2", "a4"] {
            assert_eq!(push(&mut queue, job, ONE_BUSY), Err(Refusal::QueueFull), "{job}");
        }
        assert_eq!(push(&mut queue, "d1", ONE_BUSY).unwrap().as_deref(), Some("a2"));
        assert_eq!(push(&mut queue, "e1", ONE_BUSY), Err(Refusal::QueueFull));
        assert_eq!(drain(&mut queue), ["a1", "b1", "c1", "d1"]);
    }

    #[test]
    fn a_job_is_due_after_the_deadline() {
        let (mut queue, now) = (queue(), Instant::now());
        queue.push(client("a"), String::new(), now, ONE_BUSY).unwrap();
        assert_eq!(queue.take().unwrap().deadline, now + DEADLINE);
    }
}
