//! The scripts: each is one atomic step on one user's keys, which are declared or derive from a declared one.

use redis::{Pipeline, Script};

/// Compiled once; a server that does not know one is sent it on first use.
pub(super) struct Scripts {
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

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            open_session: Script::new(include_str!("scripts/open_session.lua")),
            refresh: Script::new(concat!(include_str!("scripts/ending.lua"), include_str!("scripts/refresh.lua"))),
            renew: Script::new(include_str!("scripts/renew.lua")),
            list_sessions: Script::new(include_str!("scripts/list_sessions.lua")),
            end_session: Script::new(concat!(
                include_str!("scripts/ending.lua"),
                include_str!("scripts/end_session.lua")
            )),
            keep_only: Script::new(include_str!("scripts/keep_only.lua")),
            delete_user: Script::new(include_str!("scripts/delete_user.lua")),
            remove_tokens: Script::new(include_str!("scripts/remove_tokens.lua")),
            admit: Script::new(include_str!("scripts/admit.lua")),
            withdraw: Script::new(include_str!("scripts/withdraw.lua")),
            count: Script::new(include_str!("scripts/count.lua")),
        }
    }

    /// Loads all of them.
    pub(super) fn load(&self) -> Pipeline {
        let mut load = redis::pipe();
        let Self { open_session, refresh, renew, list_sessions, end_session, .. } = self;
        let Self { keep_only, delete_user, remove_tokens, admit, withdraw, count, .. } = self;
        for script in [open_session, refresh, renew, list_sessions, end_session] {
            load.load_script(script).ignore();
        }
        for script in [keep_only, delete_user, remove_tokens, admit, withdraw, count] {
            load.load_script(script).ignore();
        }
        load
    }
}
