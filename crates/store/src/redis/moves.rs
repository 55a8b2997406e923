//! The move of an account to another email. The keys of the two emails are in two slots of a cluster, perhaps on two
//! servers, so no script can move the account in one step.
//!
//! | step | at | change |
//! |---|---|---|
//! | 1 | former tag | marks the record as leaving, spends the entry, and ends all sessions |
//! | 2 | new tag | decides: writes the record, marked as arriving, unless the tag is taken. Writes the decision |
//! | 3 | former tag | deletes every key, or only the mark if the tag is taken |
//! | 4 | new tag | removes the mark |
//!
//! Each step is one script, or one comparison with the record that was read, and waits for replicas before the next
//! step begins. Any server that reads a marked record completes the move before it does anything else, so a server that
//! stops between two steps leaves no half of a move to its users. All steps can be repeated, in any order of servers:
//!
//! - After step 1, nobody changes the record, because every change compares the record with one that has no mark.
//! - Step 2 decides once. Whoever comes later finds the decision, which lives for [`DECISION_SECONDS`] after the last
//!   use. A server whose look at the mark is older than [`LATEST_SECONDS`] decides nothing.
//! - Step 3 removes only the mark of this move, and step 4 changes only the marked record.
//! - While the record at the new tag has its mark, nobody uses the account, so nobody deletes the account or moves it
//!   on before the former tag is free.

use std::sync::LazyLock;

use auth_service_records::{
    error::{Error, Outage},
    session::Outcome,
    user::User,
};
use auth_service_token::Id;
use redis::Script;

use super::{net::request::Request, script::script, store::Redis};
use crate::{
    change::{Moved, PendingKind, Spent},
    record::{Arriving, Leaving, Mark, StoredUser, decode_user, encode_arriving, encode_changed_user, encode_leaving},
};

/// How long a server may act on a mark that it has read, by the clock of the server that decides.
const LATEST_SECONDS: u64 = 60;
/// The life of a decision, which is much longer.
const DECISION_SECONDS: u64 = 3_600;
/// How often a read looks again at an account whose move it has completed. A further move needs a new mail.
const LOOKS: usize = 4;

static TIME: LazyLock<Script> = script!("time");
static DECIDE_MOVE: LazyLock<Script> = script!("decide_move");
static COMPLETE_MOVE: LazyLock<Script> = script!("complete_move");
static UNMARK_USER: LazyLock<Script> = script!("unmark_user");

impl Redis {
    pub(crate) async fn move_user(
        &self,
        tag: Id,
        to: Id,
        expected: &StoredUser,
        user: &User,
        spent: Spent<'_>,
    ) -> Result<Moved, Error> {
        let time = self.time_at(to).await?;
        // Also makes sure that the server of the new tag answers. The account cannot be used while it does not.
        if let Some(found) = self.find_user(to).await? {
            // Another server may have completed the same move.
            return Ok(if found.user.id == expected.user.id { Moved::NotThere } else { Moved::Taken });
        }
        let id = Id::random()?;
        let (record, leaving) = encode_leaving(expected, user, id, to);
        match self.replace_record(tag, expected, &record, Some(spent), &PendingKind::ALL).await? {
            Outcome::Done => {}
            Outcome::NotThere | Outcome::Refused => return Ok(Moved::NotThere),
        }
        self.decide(tag, &decode_user(record)?, &leaving, time).await.map_err(half_done)
    }

    /// Completes the move of an account whose record at `tag` has a mark. Returns the account at `tag` afterwards.
    pub(super) async fn settle(&self, tag: Id, marked: StoredUser) -> Result<Option<StoredUser>, Error> {
        let mut found = Some(marked);
        for _ in 0..LOOKS {
            match &found {
                Some(stored) if stored.mark.is_some() => self.take_steps(tag, stored).await.map_err(half_done)?,
                _ => return Ok(found),
            }
            found = self.read_user(tag).await?;
        }
        Err(Error::Overloaded)
    }

    async fn take_steps(&self, tag: Id, marked: &StoredUser) -> Result<(), Error> {
        match &marked.mark {
            Some(Mark::Leaving(leaving)) => {
                let time = self.time_at(leaving.to).await?;
                // The look at the mark must follow the look at the time.
                match self.read_user(tag).await? {
                    Some(still) if still.revision == marked.revision => {
                        self.decide(tag, marked, leaving, time).await.map(drop)
                    }
                    _ => Ok(()),
                }
            }
            Some(Mark::Arriving(arriving)) => self.arrive(tag, marked, *arriving).await.map(drop),
            None => Ok(()),
        }
    }

    /// Takes steps 2 to 4. `marked` is the record at `tag`, which had its mark at the `time` of the server of the new
    /// tag, in seconds, or later.
    async fn decide(&self, tag: Id, marked: &StoredUser, leaving: &Leaving, time: u64) -> Result<Moved, Error> {
        let Leaving { id, to, .. } = *leaving;
        let record = encode_arriving(leaving, tag);
        let call = Request::call(&DECIDE_MOVE, &[self.keys().user(to), self.keys().decision(to, id)])
            .arg(&record)
            .arg(owner(marked))
            .arg(time.saturating_add(LATEST_SECONDS))
            .arg(DECISION_SECONDS);
        match self.run_lasting::<i64>(to, &call).await? {
            0.. => self.arrive(to, &decode_user(record)?, Arriving { id, from: tag }).await,
            -1 => {
                self.unmark(tag, marked, &encode_changed_user(&marked.user, marked), None).await?;
                Ok(Moved::Taken)
            }
            _ => Err(Error::Unavailable(Outage::Timeout)),
        }
    }

    /// Takes steps 3 and 4. `marked` is the record at the new tag `tag`.
    async fn arrive(&self, tag: Id, marked: &StoredUser, arriving: Arriving) -> Result<Moved, Error> {
        let Arriving { id, from } = arriving;
        let call = Request::call(&COMPLETE_MOVE, &self.keys_of(from, &marked.user));
        let call = call.arg(id.as_str()).arg(owner(marked));
        if self.run_lasting::<i64>(from, &call).await? < 0 {
            // A failover has undone the first step, so the account never left.
            self.unmark(tag, marked, b"", None).await?;
            return Ok(Moved::Taken);
        }
        self.unmark(tag, marked, &encode_changed_user(&marked.user, marked), Some(id)).await?;
        Ok(Moved::Done)
    }

    /// Replaces the marked record with `record`, or deletes it if `record` is empty. Does nothing if another server was
    /// faster.
    async fn unmark(&self, tag: Id, marked: &StoredUser, record: &[u8], arrived: Option<Id>) -> Result<(), Error> {
        let mut keys = vec![self.keys().user(tag)];
        keys.extend(arrived.map(|id| self.keys().decision(tag, id)));
        let call = Request::call(&UNMARK_USER, &keys).arg(&marked.revision).arg(record).arg(DECISION_SECONDS);
        self.run_lasting::<u8>(tag, &call).await.map(drop)
    }

    /// The time of the server that has the keys of `tag`, in seconds.
    async fn time_at(&self, tag: Id) -> Result<u64, Error> {
        self.run(tag, &Request::call(&TIME, &[self.keys().user(tag)]).reading()).await
    }
}

/// The id of the user as only the record of this user has it. An email may contain the id, but no quotation mark.
fn owner(stored: &StoredUser) -> String {
    format!("\"{}\"", stored.user.id)
}

/// The error of a move that has begun. Another read completes the move, so the caller must not take it for undone.
fn half_done(error: Error) -> Error {
    match error {
        Error::Overloaded => Error::Unavailable(Outage::Busy),
        Error::NotReplicated => Error::Unavailable(Outage::NotReplicated),
        other => other,
    }
}
