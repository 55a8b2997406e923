//! Refreshes and renewals. Both renew the access entry of a session. `sessions.rs` of the store has their contracts.

use auth_service_records::{
    error::Error,
    session::{Refreshed, Renewed, SessionPolicy, Successor},
};
use auth_service_token::Id;

use super::{
    failure::Failure,
    store::Embedded,
    tables::{AccessEntry, EpochEntry, Live, Reads, RefreshEntry, Tables},
};

impl Embedded {
    pub(crate) async fn refresh(
        &self,
        tag: Id,
        sid: Id,
        refresh_id: Id,
        next_id: Option<Id>,
    ) -> Result<Refreshed, Error> {
        let presented = Presented { tag, sid, refresh_id, policy: self.policy };
        self.write(move |tables, now| {
            let mut session = match presented.find(tables, now)? {
                Found::Live(session) => session,
                Found::Gone => return Ok(Refreshed::Gone),
                Found::Reused => return Ok(Refreshed::Reused),
            };
            let successor = next_id.map(|next_id| session.rotate(next_id));
            let latest_expiry = session.refresh.entry.cut(u64::MAX);
            let epoch = session.epoch.entry.epoch;
            let access_seconds = session.grant_access(tables, latest_expiry)?;
            let live = |access_seconds| Refreshed::Live { access_seconds, epoch, successor };
            Ok(access_seconds.map_or(Refreshed::Gone, live))
        })
        .await
    }

    pub(crate) async fn renew(&self, tag: Id, sid: Id, refresh_id: Id) -> Result<Renewed, Error> {
        let presented = Presented { tag, sid, refresh_id, policy: self.policy };
        self.write(move |tables, now| {
            let session = match presented.find(tables, now)? {
                Found::Live(session) => session,
                Found::Gone => return Ok(Renewed::Gone),
                Found::Reused => return Ok(Renewed::Reused),
            };
            let latest_expiry = session.refresh.expiry;
            let epoch = session.epoch.entry.epoch;
            let access_seconds = session.grant_access(tables, latest_expiry)?;
            Ok(access_seconds.map_or(Renewed::Gone, |access_seconds| Renewed::Live { access_seconds, epoch }))
        })
        .await
    }
}

/// A refresh token that a client presents.
struct Presented {
    tag: Id,
    sid: Id,
    refresh_id: Id,
    policy: SessionPolicy,
}

/// The state of a presented refresh token.
#[expect(clippy::large_enum_variant, reason = "a local value of one call")]
enum Found {
    Live(LiveSession),
    Gone,
    /// The token was already spent, and its session has now ended.
    Reused,
}

/// The live session of a refresh token that is current, or spent but still yields its successor.
struct LiveSession {
    presented: Presented,
    is_current: bool,
    now: u64,
    epoch: Live<EpochEntry>,
    refresh: Live<RefreshEntry>,
}

impl Presented {
    fn find(self, tables: &mut Tables<'_>, now: u64) -> Result<Found, Failure> {
        let Self { tag, sid, refresh_id, policy } = self;
        let Some(epoch) = tables.live_epoch(tag, now)? else { return Ok(Found::Gone) };
        let Some(mut refresh) = tables.live_refresh(tag, sid, epoch.entry.epoch, now)? else {
            return Ok(Found::Gone);
        };
        let is_current = refresh.entry.id == refresh_id;
        if !is_current && !gives_successor(&refresh.entry, refresh_id, policy.grace_seconds, now / 1_000) {
            tables.end_session(tag, sid, epoch, now)?;
            return Ok(Found::Reused);
        }
        refresh.entry.used |= is_current;
        refresh.entry.last_used_at = now / 1_000;
        Ok(Found::Live(LiveSession { presented: self, is_current, now, epoch, refresh }))
    }
}

fn gives_successor(entry: &RefreshEntry, refresh_id: Id, grace_seconds: u64, now_seconds: u64) -> bool {
    // The clock may show an earlier time than before a restart.
    let since_spent = now_seconds.saturating_sub(entry.spent_at.unwrap_or(0));
    entry.spent == Some(refresh_id) && (!entry.used || since_spent <= grace_seconds)
}

impl LiveSession {
    /// Replaces a current refresh token with `next_id`, and returns the successor. A spent token already has a
    /// successor.
    fn rotate(&mut self, next_id: Id) -> Successor {
        let refresh = &mut self.refresh;
        let now_seconds = self.now / 1_000;
        if self.is_current {
            refresh.entry.spent = Some(refresh.entry.id);
            refresh.entry.spent_at = Some(now_seconds);
            refresh.entry.id = next_id;
            refresh.entry.used = false;
            refresh.expiry = refresh.entry.cut(self.now + self.presented.policy.refresh_seconds * 1_000);
        }
        let iat = refresh.entry.spent_at.unwrap_or(now_seconds);
        Successor { refresh_id: refresh.entry.id, iat, exp: refresh.expiry / 1_000 }
    }

    /// Writes the session. Its access entry then lives as long as a new access token, but not beyond `latest_expiry`,
    /// in milliseconds since the Unix epoch. Returns the life of the new token in seconds. Returns `None` and writes
    /// nothing if that life is shorter than a second.
    fn grant_access(mut self, tables: &mut Tables<'_>, latest_expiry: u64) -> Result<Option<u64>, Failure> {
        let Presented { tag, sid, policy, .. } = self.presented;
        let access_seconds = policy.access_seconds.min((latest_expiry / 1_000).saturating_sub(self.now / 1_000));
        if access_seconds == 0 {
            return Ok(None);
        }
        let access = tables.live_access(tag, sid, self.epoch.entry.epoch, self.now)?;
        let mut access = access.unwrap_or_else(|| Live { expiry: 0, entry: AccessEntry::of(&self.refresh.entry) });
        // The expiry of the entry never moves back, because older access tokens keep their own expiry.
        access.expiry = access.expiry.max((self.now + access_seconds * 1_000).min(latest_expiry));
        let expiry = access.expiry.max(self.refresh.expiry);
        if expiry > self.epoch.expiry {
            self.epoch.expiry = expiry;
            tables.put_epoch(tag, &self.epoch)?;
        }
        tables.put_access(tag, sid, &access)?;
        tables.put_refresh(tag, sid, &self.refresh)?;
        Ok(Some(access_seconds))
    }
}
