//! Password hashing: argon2id on threads of its own, in idle time, behind a bounded queue.
//!
//! A hash costs about 20 ms of CPU and 19 MiB. On threads that run in idle time a flood of sign-ins takes only what
//! token checks leave over, and the queue bounds both the memory and how long a caller can be made to wait.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use rustix::time::ClockId;
use tokio::sync::oneshot;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::error::Error;

/// The longest password accepted, in bytes as sent.
pub const PASSWORD_MAX_BYTES: usize = 1024;

/// Jobs that may wait, for each hashing thread: about a second's work, half of the request deadline.
const QUEUE_PER_THREAD: usize = 32;
/// A thread without work gives its memory block back to the allocator after this long.
const IDLE: Duration = Duration::from_secs(2);
/// Where a thread cannot be given the policy for idle time. Linux counts niceness per thread.
#[cfg(target_os = "linux")]
const LOWEST_PRIORITY: i32 = 19;
/// OWASP ASVS 5.0 clause 11.4.2 and NIST SP 800-63B-4 ask for at least 32 bits; RFC 9106 recommends 128.
const SALT_BYTES: usize = 16;

/// A password in Unicode NFC, so that it is the same from every keyboard (RFC 8265, OpaqueString); not changed otherwise.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Normalizes; checks nothing.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(if is_nfc(text) { text.to_owned() } else { text.nfc().collect() })
    }

    /// Length in Unicode code points.
    #[must_use]
    pub fn code_points(&self) -> usize {
        self.0.chars().count()
    }
}

/// Never shows the password.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// argon2id parameters (RFC 9106), checked by `config.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory for one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

/// How many characters of a password are looked at for its strength: more would take long, and are strong enough.
const SCORED_CHARACTERS: usize = 64;
/// A guesser tries the name of the service, too.
const SERVICE_WORDS: [&str; 3] = ["auth-service", "auth", "service"];

/// What verifying a password found.
#[derive(Debug)]
pub struct Verdict {
    /// Whether the password is the right one.
    pub matches: bool,
    /// A new hash to store, when the password is right and its stored hash is weaker than today's parameters.
    pub upgrade: Option<String>,
}

/// A handle on the hashing threads; they end when the last handle is gone.
#[derive(Clone)]
pub struct Passwords {
    queue: Sender<Job>,
    /// A hash of today's parameters that no password matches.
    decoy: String,
}

struct Job {
    password: Password,
    task: Task,
}

enum Task {
    /// With the words that say the most about the user.
    Hash(Vec<String>, oneshot::Sender<Result<String, Error>>),
    Verify(String, oneshot::Sender<Result<Verdict, Error>>),
}

impl Passwords {
    /// Starts `threads` hashing threads. New passwords need a zxcvbn score of at least `min_score`, from 0 (any) to 4.
    ///
    /// # Errors
    /// When the parameters are not argon2's, or the system gives no thread or no randomness.
    pub fn start(cost: HashCost, min_score: u8, threads: usize) -> io::Result<Self> {
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e.to_string()))?;
        let (queue, jobs) = bounded(QUEUE_PER_THREAD * threads);
        let room = Arc::new(Room::new(threads));
        for n in 0..threads {
            let (params, room) = (params.clone(), Arc::clone(&room));
            let mut hasher = Hasher { params, min_score, memory: Vec::new(), n, room };
            let jobs = jobs.clone();
            thread::Builder::new().name(format!("hash-{n}")).spawn(move || hasher.run(&jobs))?;
        }
        let decoy = phc(&params, &random_salt().map_err(io::Error::other)?, &[0; Params::DEFAULT_OUTPUT_LEN])
            .map_err(|_| io::Error::other("cannot write the decoy hash"))?;
        Ok(Self { queue, decoy })
    }

    /// Hashes a new password of the user with this email, with a fresh salt; returns the PHC string.
    ///
    /// # Errors
    /// [`Error::WeakPassword`], or [`Error::Overloaded`] at once when the queue is full.
    pub async fn hash(&self, password: Password, email: &str) -> Result<String, Error> {
        let (reply, answer) = oneshot::channel();
        let about = std::iter::once(email).chain(email.split(['@', '.'])).map(str::to_owned).collect();
        self.submit(Job { password, task: Task::Hash(about, reply) })?;
        answer.await.map_err(|_| stopped())?
    }

    /// Compares `password` with a stored hash; without one it does the same work on a decoy and never matches, so that
    /// an unknown email takes as long as a wrong password (OWASP ASVS 5.0 clause 6.3.8).
    ///
    /// # Errors
    /// [`Error::Overloaded`] at once when the queue is full.
    pub async fn verify(&self, password: Password, stored: Option<&str>) -> Result<Verdict, Error> {
        let (reply, answer) = oneshot::channel();
        let phc = stored.unwrap_or(&self.decoy).to_owned();
        self.submit(Job { password, task: Task::Verify(phc, reply) })?;
        let verdict = answer.await.map_err(|_| stopped())??;
        Ok(if stored.is_some() { verdict } else { Verdict { matches: false, upgrade: None } })
    }

    fn submit(&self, job: Job) -> Result<(), Error> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Error::Overloaded,
            TrySendError::Disconnected(_) => stopped(),
        })
    }
}

fn stopped() -> Error {
    Error::Internal("the hashing threads have stopped".to_owned())
}

/// Leaves the core to whoever else on it has work, from now on. A thread that is only nice keeps the core for what is left
/// of its slice, a few milliseconds, when a request comes; one of this policy (`SCHED_IDLE`) does not.
#[cfg(target_os = "linux")]
fn run_in_idle_time() {
    use thread_priority::{
        NormalThreadSchedulePolicy::Idle, ThreadPriority, ThreadSchedulePolicy::Normal, set_thread_priority_and_policy,
        thread_native_id,
    };

    let idle = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, Normal(Idle));
    if idle.is_ok() {
        return;
    }
    if let Err(error) = rustix::process::nice(LOWEST_PRIORITY) {
        tracing::warn!(%error, "hashing runs at normal priority: sign-ins may slow token checks down");
    }
}

/// How many threads may hash. One that hashes in idle time gives way to whoever wakes up on its core, but the system
/// does not see that the core is free for them, and lets requests queue on others: so the more of the time requests
/// take, the fewer cores hash.
struct Room {
    /// All that there are.
    threads: usize,
    /// CPU time that went into hashing, in nanoseconds.
    hashing: AtomicU64,
    window: Mutex<Window>,
}

/// A look at what the rest of the process does.
struct Window {
    since: Instant,
    process: Duration,
    hashing: u64,
    room: usize,
    /// When there was last no more room than that.
    short: Instant,
}

impl Room {
    /// Long beside one hash, which is counted when it is done.
    const WINDOW: Duration = Duration::from_millis(500);
    const PAUSE: Duration = Duration::from_millis(100);
    /// How long there must be more room until it is taken.
    const CALM: Duration = Duration::from_secs(2);
    /// Of one core. The requests of sign-ins alone are a fifth of it.
    const LITTLE: f64 = 0.1;

    fn new(threads: usize) -> Self {
        let now = Instant::now();
        let process = cpu_time(ClockId::ProcessCPUTime);
        let window = Window { since: now, process, hashing: 0, room: threads, short: now };
        Self { threads, hashing: AtomicU64::new(0), window: Mutex::new(window) }
    }

    /// For half a core that requests take, a whole one is theirs; one thread always hashes.
    fn beside(&self, cores: f64) -> usize {
        let taken = if cores < Self::LITTLE { 0 } else { (cores * 2.0).ceil() as usize };
        self.threads.saturating_sub(taken).max(1)
    }

    /// How many may hash now.
    fn now(&self) -> usize {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let elapsed = now - window.since;
        if elapsed >= Self::WINDOW {
            let (process, hashing) = (cpu_time(ClockId::ProcessCPUTime), self.hashing.load(Ordering::Relaxed));
            let hashed = Duration::from_nanos(hashing - window.hashing);
            let requests = process.saturating_sub(window.process).saturating_sub(hashed);
            let cores = requests.as_secs_f64() / elapsed.as_secs_f64();
            let room = self.beside(cores);
            let short = if room <= window.room { now } else { window.short };
            let room = if now - short < Self::CALM { room.min(window.room) } else { room };
            *window = Window { since: now, process, hashing, room, short };
        }
        window.room
    }
}

fn cpu_time(clock: ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// One thread's parameters and its memory block, which is re-used from one hash to the next.
struct Hasher {
    params: Params,
    min_score: u8,
    memory: Vec<Block>,
    /// Which of the threads it is, from 0.
    n: usize,
    room: Arc<Room>,
}

impl Hasher {
    fn run(&mut self, jobs: &Receiver<Job>) {
        #[cfg(target_os = "linux")]
        run_in_idle_time();
        loop {
            match jobs.recv_timeout(IDLE) {
                Ok(job) => {
                    self.perform(job);
                    while self.n >= self.room.now() {
                        thread::sleep(Room::PAUSE);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.memory = Vec::new();
                    // Without a block to give back there is nothing to wake up for.
                    let Ok(job) = jobs.recv() else { return };
                    self.perform(job);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// A job whose caller has gone (its deadline passed) is dropped unhashed. A reply nobody waits for is no error.
    fn perform(&mut self, Job { password, task }: Job) {
        let start = cpu_time(ClockId::ThreadCPUTime);
        match task {
            Task::Hash(about, reply) if !reply.is_closed() => {
                let _ = reply.send(self.check_strength(&password, &about).and_then(|()| self.hash(&password)));
            }
            Task::Verify(stored, reply) if !reply.is_closed() => {
                let _ = reply.send(self.verify(&password, &stored));
            }
            Task::Hash(..) | Task::Verify(..) => {}
        }
        let took = cpu_time(ClockId::ThreadCPUTime).saturating_sub(start);
        self.room.hashing.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Scores by zxcvbn, which knows tens of thousands of common passwords (OWASP ASVS 5.0 clauses 6.2.4 and 6.2.11).
    fn check_strength(&self, password: &Password, about: &[String]) -> Result<(), Error> {
        if self.min_score == 0 {
            return Ok(());
        }
        let scored: String = password.0.chars().take(SCORED_CHARACTERS).collect();
        let about: Vec<&str> = about.iter().map(String::as_str).chain(SERVICE_WORDS).collect();
        let entropy = zxcvbn::zxcvbn(&scored, &about);
        if u8::from(entropy.score()) >= self.min_score {
            return Ok(());
        }
        // The library's sentences are fixed texts, which never quote the password.
        let feedback = entropy.feedback();
        let warning = feedback.and_then(zxcvbn::feedback::Feedback::warning).map(|warning| warning.to_string());
        let suggestions = feedback.map(zxcvbn::feedback::Feedback::suggestions).unwrap_or_default();
        let advice: Vec<_> = warning.into_iter().chain(suggestions.iter().map(ToString::to_string)).collect();
        Err(Error::WeakPassword { field: "password", advice: advice.join(" ") })
    }

    fn hash(&mut self, password: &Password) -> Result<String, Error> {
        let salt = random_salt()?;
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        let params = self.params.clone();
        self.argon2id(Algorithm::Argon2id, Version::V0x13, params, password, &salt, &mut output)?;
        phc(&self.params, &salt, &output)
    }

    fn verify(&mut self, password: &Password, stored: &str) -> Result<Verdict, Error> {
        let stored = PasswordHash::new(stored).map_err(|e| corrupt(&e))?;
        let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
            return Err(corrupt(&"it has no salt or no hash"));
        };
        let algorithm = Algorithm::try_from(stored.algorithm.as_str()).map_err(|e| corrupt(&e))?;
        let version = stored.version.map_or(Ok(Version::V0x13), Version::try_from).map_err(|e| corrupt(&e))?;
        let params = Params::try_from(&stored).map_err(|e| corrupt(&e))?;
        let weaker = algorithm != Algorithm::Argon2id
            || params.m_cost() < self.params.m_cost()
            || params.t_cost() < self.params.t_cost()
            || params.p_cost() < self.params.p_cost();
        let mut output = vec![0; expected.len()];
        self.argon2id(algorithm, version, params, password, salt, &mut output)?;
        // Output compares in constant time.
        let matches = Output::new(&output).is_ok_and(|output| output == *expected);
        let upgrade = if matches && weaker { Some(self.hash(password)?) } else { None };
        Ok(Verdict { matches, upgrade })
    }

    fn argon2id(
        &mut self,
        algorithm: Algorithm,
        version: Version,
        params: Params,
        password: &Password,
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        let blocks = params.block_count();
        if self.memory.len() < blocks {
            // Where the system refuses, hashing is a little slower.
            #[cfg(target_os = "linux")]
            let _ = rustix::thread::disable_transparent_huge_pages(false);
            self.memory.resize(blocks, Block::default());
        }
        Argon2::new(algorithm, version, params)
            .hash_password_into_with_memory(password.0.as_bytes(), salt, output, &mut self.memory[..blocks])
            .map_err(|e| Error::Internal(format!("cannot hash a password: {e}")))
    }
}

fn random_salt() -> Result<[u8; SALT_BYTES], getrandom::Error> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt)?;
    Ok(salt)
}

fn phc(params: &Params, salt: &[u8], output: &[u8]) -> Result<String, Error> {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(|e| corrupt(&e))?,
        salt: Some(Salt::new(salt).map_err(|e| corrupt(&e))?),
        hash: Some(Output::new(output).map_err(|e| corrupt(&e))?),
    };
    Ok(hash.to_string())
}

fn corrupt(why: &dyn fmt::Display) -> Error {
    Error::Internal(format!("not a usable password hash: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_take_cores_from_hashing_but_not_the_last() {
        let beside = |threads, loads: [f64; 6]| loads.map(|cores| Room::new(threads).beside(cores));
        let loads = [0.0, 0.09, 0.1, 0.6, 1.1, 9.0];
        assert_eq!(beside(1, loads), [1, 1, 1, 1, 1, 1]);
        assert_eq!(beside(2, loads), [2, 2, 1, 1, 1, 1]);
        assert_eq!(beside(4, loads), [4, 4, 3, 2, 1, 1]);
    }

    const COST: HashCost = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };

    fn hasher(cost: HashCost) -> Hasher {
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None).unwrap();
        Hasher { params, min_score: 0, memory: Vec::new(), n: 0, room: Arc::new(Room::new(1)) }
    }

    #[test]
    fn composed_and_decomposed_spellings_are_one_password() {
        let stored = hasher(COST).hash(&Password::new("caf\u{e9}")).unwrap();
        assert!(hasher(COST).verify(&Password::new("cafe\u{301}"), &stored).unwrap().matches);
    }

    #[test]
    fn every_byte_counts() {
        let long = "x".repeat(1000);
        let stored = hasher(COST).hash(&Password::new(&long)).unwrap();
        assert!(!hasher(COST).verify(&Password::new(&(long[1..].to_owned() + "y")), &stored).unwrap().matches);
        assert!(hasher(COST).verify(&Password::new(&long), &stored).unwrap().matches);
    }

    #[test]
    fn a_weaker_hash_is_upgraded_and_a_stronger_one_kept() {
        let strong = HashCost { iterations: 2, ..COST };
        let weak = hasher(COST).hash(&Password::new("secret")).unwrap();
        let verdict = hasher(strong).verify(&Password::new("secret"), &weak).unwrap();
        let upgraded = verdict.upgrade.unwrap();
        assert!(upgraded.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{upgraded}");
        let verdict = hasher(COST).verify(&Password::new("secret"), &upgraded).unwrap();
        assert!(verdict.matches && verdict.upgrade.is_none());
    }

    #[test]
    fn a_reused_memory_block_changes_nothing() {
        // A block that an earlier, larger hash left behind must not show.
        let reference = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let mut expected = [0; 32];
        reference.hash_password_into(b"password", b"0123456789abcdef", &mut expected).unwrap();
        let mut output = [0; 32];
        let mut hasher = hasher(COST);
        hasher.memory = vec![Block::default(); 500];
        let params = hasher.params.clone();
        hasher
            .argon2id(
                Algorithm::Argon2id,
                Version::V0x13,
                params,
                &Password::new("password"),
                b"0123456789abcdef",
                &mut output,
            )
            .unwrap();
        assert_eq!(output, expected);
    }
}
