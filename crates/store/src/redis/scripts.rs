//! The scripts: each is one atomic step on one user's keys, which are declared or derive from a declared one.

use redis::Script;

/// Compiled once; a server that does not know one is sent it on first use.
pub(super) struct Scripts {
    pub(super) create_user: Script,
    pub(super) open_session: Script,
    pub(super) refresh: Script,
    pub(super) renew: Script,
    pub(super) list_sessions: Script,
    pub(super) end_session: Script,
    pub(super) keep_only: Script,
    pub(super) delete_user: Script,
    pub(super) remove_tokens: Script,
    pub(super) admit: Script,
    pub(super) withdraw: Script,
    pub(super) count: Script,
}

/// A script after what it calls.
macro_rules! script {
    ($($name:literal),+) => { Script::new(concat!($(include_str!(concat!("scripts/", $name, ".lua"))),+)) };
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            create_user: script!("create_user"),
            open_session: script!("record", "known", "open_session"),
            refresh: script!("session", "rest", "ending", "refresh"),
            renew: script!("session", "rest", "renew"),
            list_sessions: script!("session", "rest", "asking", "list_sessions"),
            end_session: script!("session", "asking", "ending", "end_session"),
            keep_only: script!("record", "session", "asking", "keep_only"),
            delete_user: script!("record", "session", "asking", "delete_user"),
            remove_tokens: script!("session", "asking", "remove_tokens"),
            admit: script!("known", "admit"),
            withdraw: script!("withdraw"),
            count: script!("count"),
        }
    }

    pub(super) fn all(&self) -> [&Script; 12] {
        let Self { create_user, open_session, refresh, renew, list_sessions, end_session, .. } = self;
        let Self { keep_only, delete_user, remove_tokens, admit, withdraw, count, .. } = self;
        [
            create_user,
            open_session,
            refresh,
            renew,
            list_sessions,
            end_session,
            keep_only,
            delete_user,
            remove_tokens,
            admit,
            withdraw,
            count,
        ]
    }
}
