//! The keys of a user in Redis, with the default prefix, and the commands that reach a Redis.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use auth_service_records::user::Email;

use super::{redis_server::RedisServer, session::Session, wait::wait_until};

/// Names the keys of one session and its user.
pub(crate) struct Keys {
    tag: String,
    sid: String,
}

/// The part of a key between braces. It does not reveal the email.
pub(crate) fn tag(email: &str) -> String {
    Email::parse(email).unwrap().tag().to_string()
}

impl Keys {
    pub(crate) fn of(session: &Session) -> Self {
        Self { tag: tag(&session.email), sid: session.id() }
    }

    /// The user record, which has no TTL.
    pub(crate) fn user(&self) -> String {
        self.key("u")
    }

    pub(crate) fn epoch(&self) -> String {
        self.key("e")
    }

    /// The access entry of the session.
    pub(crate) fn access(&self) -> String {
        self.key(&format!("a:{}", self.sid))
    }

    /// The refresh entry of the session.
    pub(crate) fn refresh(&self) -> String {
        self.key(&format!("r:{}", self.sid))
    }

    /// The ids of the user's sessions.
    pub(crate) fn sessions(&self) -> String {
        self.key("s")
    }

    /// All keys of a user whose only session is this one, sorted.
    pub(crate) fn all(&self) -> Vec<String> {
        let mut all = vec![self.user(), self.epoch(), self.access(), self.refresh(), self.sessions()];
        all.sort();
        all
    }

    fn key(&self, rest: &str) -> String {
        format!("as:{{{}}}:{rest}", self.tag)
    }
}

impl RedisServer {
    /// All keys of users and addresses, sorted.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.command(&["KEYS", "*"]);
        keys.retain(|key| ["probe", ":secrets", ":revocations"].iter().all(|end| !key.ends_with(end)));
        keys.sort();
        keys
    }

    /// Milliseconds until a key expires; -1 for a key without a TTL, -2 for a missing key.
    pub(crate) fn life(&self, key: &str) -> i64 {
        self.command(&["PTTL", key])
    }

    /// Asserts that the TTL of a key is `seconds`, or up to ten seconds less, because the test itself takes time.
    #[track_caller]
    pub(crate) fn assert_life(&self, key: &str, seconds: i64) {
        let life = self.life(key);
        assert!((((seconds - 10).max(0) * 1_000 + 1)..=seconds * 1_000).contains(&life), "{key} lives for {life} ms");
    }

    /// Whether the value of a key contains a text. Redis must run with `--rdbcompression no`.
    pub(crate) fn holds(&self, key: &str, text: &str) -> bool {
        let value: Vec<u8> = self.command(&["DUMP", key]);
        value.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// The commands that a Redis receives from clients.
pub(crate) struct Monitor(Receiver<Vec<String>>);

impl Monitor {
    pub(crate) fn start(redis: &RedisServer) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some("+OK"));
        let (sender, commands) = mpsc::channel();
        // The thread ends with the connection, and the connection ends with Redis.
        thread::spawn(move || {
            // Without the commands inside scripts.
            for line in lines.filter(|line| !line.contains(" lua] ")) {
                let words = line.split('"').skip(1).step_by(2).map(str::to_owned).collect();
                if sender.send(words).is_err() {
                    return;
                }
            }
        });
        Self(commands)
    }

    /// Waits for this many commands that `is_counted` accepts.
    #[track_caller]
    pub(crate) fn wait_for_commands(&self, count: usize, is_counted: impl Fn(&[String]) -> bool) {
        let mut counted = 0;
        wait_until("Redis receives the commands", || {
            counted += self.0.try_iter().filter(|words| is_counted(words)).count();
            counted >= count
        });
    }

    /// Waits for the command that has this word, and returns all commands before it that no call has returned yet.
    pub(crate) fn until(&self, marker: &str) -> Vec<Vec<String>> {
        let next = || self.0.recv_timeout(Duration::from_secs(10)).unwrap();
        let commands = std::iter::repeat_with(next);
        commands.take_while(|words| !words.iter().any(|word| word == marker)).collect()
    }

    /// Waits for the next command of this name, and returns its arguments.
    pub(crate) fn wait_for(&self, name: &str) -> Vec<String> {
        loop {
            let words = self.0.recv_timeout(Duration::from_secs(10)).unwrap();
            if words[0].eq_ignore_ascii_case(name) {
                return words[1..].to_vec();
            }
        }
    }
}
