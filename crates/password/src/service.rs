//! The API of the crate: hash a new password, verify a password.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use auth_service_records::error::Error;
use auth_service_token::Id;
use prometheus_client::registry::Registry;
use tokio::sync::oneshot;

use crate::{
    cost::HashCost,
    estimate::Estimate,
    hasher::{Hasher, Verdict},
    password::Password,
    pool::Pool,
    rules::Rules,
    state::Answer,
    stored::StoredHash,
};

/// How passwords are hashed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Parameters of new hashes.
    pub cost: HashCost,
    /// The rules for new passwords.
    pub rules: Rules,
    /// The number of hashing threads, usually the number of cores. 0 counts as 1.
    pub threads: usize,
    /// The maximum time from a call to its answer. It must be shorter than the deadline of a request, because a request
    /// does other work too, and a password change verifies one password and hashes another.
    pub deadline: Duration,
}

/// Hashes a new password of the user with this email in the current thread, for a program that serves no requests.
///
/// # Errors
/// [`Error::WeakPassword`]; [`Error::Internal`], also if the parameters are out of bounds.
pub fn hash_here(password: &Password, email: &str, cost: HashCost, rules: &Rules) -> Result<String, Error> {
    rules.check(password, email)?;
    let params = cost.params().map_err(|e| Error::Internal(e.to_string()))?;
    Hasher::new(params).hash(password)
}

/// Checks whether a stored hash that comes from elsewhere can be verified, at a cost that is within the bounds.
///
/// # Errors
/// Why not, as the rest of a sentence that starts with the name of the hash. It never quotes the hash.
pub fn check_hash(hash: &str, current: HashCost) -> Result<(), &'static str> {
    StoredHash::check(hash, current)
}

/// A handle to the hashing threads. The threads end when the last handle is dropped.
///
/// In both operations, `client` names the address of the caller. Clients take turns, so a flood from one client delays
/// a job of another client by at most one job. If the future of a call is dropped, its job still runs.
#[derive(Clone)]
pub struct Passwords {
    pool: Arc<Pool>,
    rules: Arc<Rules>,
    /// A hash with the current parameters, for emails without an account.
    decoy: Arc<str>,
}

impl Passwords {
    /// Starts the threads. Computes one hash first, to estimate the duration of a hash.
    ///
    /// # Errors
    /// When the parameters are out of bounds, or the operating system provides no thread, memory or randomness.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let Settings { cost, rules, threads, deadline } = settings;
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        if !cost.is_within_bounds() {
            return Err(invalid(format!("{cost:?} is out of bounds")));
        }
        let params = cost.params().map_err(|e| invalid(e.to_string()))?;
        let unknown = Id::random().map_err(io::Error::other)?;
        let start = Instant::now();
        let decoy = Hasher::new(params.clone()).hash(&Password::new(unknown.as_str()));
        let average = start.elapsed();
        let decoy = decoy.map_err(|e| io::Error::other(format!("cannot make a first hash: {e:?}")))?.into();
        let pool = Arc::new(Pool::start(params, threads, Estimate::new(average, deadline))?);
        Ok(Self { pool, rules: Arc::new(rules), decoy })
    }

    /// Checks whether a hash for `client` would be accepted now. A caller that does other work first asks here,
    /// so that a flood does not cause that work.
    ///
    /// # Errors
    /// As [`Passwords::hash`], without [`Error::WeakPassword`].
    pub fn check_admission(&self, client: Id) -> Result<(), Error> {
        self.pool.check_admission(client)
    }

    /// Hashes a new password of the user with this email, with a fresh salt. Returns the PHC string.
    ///
    /// # Errors
    /// [`Error::WeakPassword`]; [`Error::Overloaded`] if the hash cannot end before the deadline;
    /// [`Error::HashingUnavailable`] if no thread runs; [`Error::Internal`].
    pub async fn hash(&self, password: Password, email: &str, client: Id) -> Result<String, Error> {
        let (email, rules) = (email.to_owned(), Arc::clone(&self.rules));
        self.run(client, move |hasher| {
            rules.check(&password, &email)?;
            hasher.hash(&password)
        })
        .await
    }

    /// Compares `password` with the stored hash of an account. `None` stands for an email without an account: no
    /// password matches, and the work equals that of a wrong password (OWASP ASVS 5.0 clause 6.3.8).
    ///
    /// # Errors
    /// [`Error::Overloaded`] if the hash cannot end before the deadline; [`Error::HashingUnavailable`] if no thread
    /// runs; [`Error::Internal`], also if the stored hash is corrupt or its parameters are out of bounds.
    pub async fn verify(&self, password: Password, stored: Option<&str>, client: Id) -> Result<Verdict, Error> {
        let phc = stored.map_or_else(|| Arc::clone(&self.decoy), Arc::from);
        let verdict = self.run(client, move |hasher| hasher.verify(&password, &phc)).await?;
        Ok(if stored.is_some() { verdict } else { Verdict { matches: false, upgrade: None } })
    }

    /// Whether all threads run. `false` if the operating system provides no replacement for a thread that died. Each
    /// call tries again to replace it.
    #[must_use]
    pub fn all_threads_run(&self) -> bool {
        self.pool.all_threads_run()
    }

    /// Adds the metrics of the threads to a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.pool.register_metrics(registry);
    }

    async fn run<T, F>(&self, client: Id, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Hasher) -> Result<T, Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move |hasher: Result<&mut Hasher, Error>| {
            let outcome = hasher.and_then(work);
            // The send fails if the caller has stopped waiting.
            Box::new(move || drop(reply.send(outcome))) as Answer
        });
        self.pool.submit(client, job)?;
        answer.await.unwrap_or_else(|_| Err(Error::Internal("a hashing thread died".to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: HashCost = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };
    const RULES: Rules = Rules { min_score: 0, breached: None };
    const SETTINGS: Settings = Settings { cost: COST, rules: RULES, threads: 2, deadline: Duration::from_secs(3_600) };

    fn passwords() -> Passwords {
        Passwords::start(SETTINGS).unwrap()
    }

    fn client() -> Id {
        Id::digest(b"192.0.2.1")
    }

    fn secret() -> Password {
        Password::new("secret")
    }

    #[tokio::test]
    async fn only_the_right_password_of_an_account_matches() {
        let passwords = passwords();
        let stored = passwords.hash(secret(), "a@b.example", client()).await.unwrap();
        let verify = |password, stored| passwords.verify(Password::new(password), stored, client());
        assert!(verify("secret", Some(stored.as_str())).await.unwrap().matches);
        assert!(!verify("Secret", Some(stored.as_str())).await.unwrap().matches);
        assert!(!verify("secret", None).await.unwrap().matches);
    }

    #[tokio::test]
    async fn the_decoy_is_a_hash_of_current_parameters() {
        let decoy = passwords().decoy;
        assert!(decoy.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{decoy}");
        assert_eq!(decoy.len(), passwords().hash(secret(), "", client()).await.unwrap().len());
    }

    #[tokio::test]
    async fn a_new_password_needs_the_score() {
        let passwords = Passwords::start(Settings { rules: Rules { min_score: 3, ..RULES }, ..SETTINGS }).unwrap();
        let weak = passwords.hash(Password::new("password"), "a@b.example", client()).await;
        assert!(matches!(weak, Err(Error::WeakPassword { .. })));
        passwords.hash(Password::new("plinth-ocarina-vexed-77"), "a@b.example", client()).await.unwrap();
    }

    #[tokio::test]
    async fn a_hostile_record_is_an_error() {
        let hostile = "$argon2id$v=19$m=4194304,t=1000000,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2g";
        assert!(matches!(passwords().verify(secret(), Some(hostile), client()).await, Err(Error::Internal(_))));
    }

    #[tokio::test]
    async fn a_job_that_kills_its_thread_answers_an_error() {
        let passwords = passwords();
        let died = passwords.run::<(), _>(client(), |_| panic!("the test ends this thread")).await;
        assert!(matches!(died, Err(Error::Internal(_))));
        passwords.hash(secret(), "", client()).await.unwrap();
        assert!(passwords.all_threads_run());
    }

    #[tokio::test]
    async fn a_late_job_answers_overloaded() {
        let passwords = Passwords::start(Settings { deadline: Duration::ZERO, ..SETTINGS }).unwrap();
        assert!(matches!(passwords.verify(secret(), None, client()).await, Err(Error::Overloaded)));
    }

    #[test]
    fn parameters_out_of_bounds_do_not_start() {
        for cost in [
            HashCost { memory_kib: HashCost::MAX_MEMORY_KIB + 1, ..COST },
            HashCost { iterations: HashCost::MAX_ITERATIONS + 1, ..COST },
            HashCost { parallelism: HashCost::MAX_PARALLELISM + 1, ..COST },
            HashCost { iterations: 0, ..COST },
            HashCost { memory_kib: 7, ..COST },
        ] {
            let refused = Passwords::start(Settings { cost, ..SETTINGS }).err().unwrap();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{cost:?}");
        }
    }
}
