//! The operations on accounts. `accounts.rs` of the store has their contracts.

use auth_service_records::{error::Error, session::Outcome, user::User};
use auth_service_token::Id;

use super::{
    failure::Failure,
    store::Embedded,
    tables::{Reads, Tables},
};
use crate::{
    access,
    change::{Moved, PendingKind, Spent},
    record::{NewUser, StoredUser, decode_user, encode_changed_user, encode_new_user, encode_user},
};

impl Embedded {
    pub(crate) async fn create_user(&self, tag: Id, user: &User) -> Result<bool, Error> {
        let record = encode_user(user);
        self.write(move |tables, _| {
            let is_free = tables.record(tag)?.is_none();
            if is_free {
                tables.put_user(tag, &record)?;
            }
            Ok(is_free)
        })
        .await
    }

    pub(crate) async fn import_users(&self, users: &[NewUser]) -> Result<Vec<bool>, Error> {
        let records: Vec<_> = users.iter().map(|new| (new.tag, encode_new_user(new))).collect();
        self.write(move |tables, _| {
            let mut added = Vec::with_capacity(records.len());
            for (tag, record) in &records {
                let is_free = tables.record(*tag)?.is_none();
                if is_free {
                    tables.put_user(*tag, record)?;
                }
                added.push(is_free);
            }
            Ok(added)
        })
        .await
    }

    pub(crate) fn have_accounts(&self, tags: &[Id]) -> Result<Vec<bool>, Error> {
        self.read(|snapshot, _| tags.iter().map(|tag| Ok(snapshot.record(*tag)?.is_some())).collect())
    }

    pub(crate) fn find_user(&self, tag: Id) -> Result<Option<StoredUser>, Error> {
        self.read(|snapshot, _| snapshot.record(tag))?.map(decode_user).transpose()
    }

    pub(crate) async fn update_user(
        &self,
        tag: Id,
        expected: &StoredUser,
        user: &User,
        spent: Option<Spent<'_>>,
    ) -> Result<Outcome, Error> {
        let (condition, record) = (Condition::new(tag, expected, spent), encode_changed_user(user, expected));
        let profile = access::profile(user);
        self.write(move |tables, now| {
            if !condition.holds(tables, now)? {
                return Ok(Outcome::NotThere);
            }
            // A failure to read the entry must come before the first write.
            let epoch = tables.live_epoch(tag, now)?;
            tables.put_user(tag, &record)?;
            tables.remove_pending(tag, condition.spent_kind())?;
            if let Some(mut epoch) = epoch {
                epoch.entry.set_profile(profile);
                tables.put_epoch(tag, &epoch)?;
            }
            Ok(Outcome::Done)
        })
        .await
    }

    pub(crate) async fn replace_user(
        &self,
        tag: Id,
        expected: &StoredUser,
        user: &User,
        spent: Option<Spent<'_>>,
    ) -> Result<Outcome, Error> {
        let (condition, record) = (Condition::new(tag, expected, spent), encode_changed_user(user, expected));
        let outcome = self
            .write(move |tables, now| {
                if !condition.holds(tables, now)? {
                    return Ok(Outcome::NotThere);
                }
                tables.put_user(tag, &record)?;
                tables.remove_pending(tag, PendingKind::OF_A_PASSWORD.into_iter().chain(condition.spent_kind()))?;
                tables.end_epoch(tag, now)?;
                tables.remove_sessions(tag)?;
                Ok(Outcome::Done)
            })
            .await?;
        if outcome == Outcome::Done && expected.user.password_resets_failures() {
            self.counts.forget_guesses(tag, expected.user.known_addresses.names());
        }
        Ok(outcome)
    }

    pub(crate) async fn move_user(
        &self,
        tag: Id,
        to: Id,
        expected: &StoredUser,
        user: &User,
        spent: Spent<'_>,
    ) -> Result<Moved, Error> {
        let (condition, record) = (Condition::new(tag, expected, Some(spent)), encode_changed_user(user, expected));
        let moved = self
            .write(move |tables, now| {
                if !condition.holds(tables, now)? {
                    return Ok(Moved::NotThere);
                }
                if tables.record(to)?.is_some() {
                    return Ok(Moved::Taken);
                }
                tables.put_user(to, &record)?;
                tables.remove_account(tag, now)?;
                Ok(Moved::Done)
            })
            .await?;
        if moved == Moved::Done {
            self.counts.forget_guesses(tag, expected.user.known_addresses.names());
        }
        Ok(moved)
    }

    pub(crate) async fn delete_user(
        &self,
        tag: Id,
        expected: &StoredUser,
        caller: Option<Id>,
    ) -> Result<Outcome, Error> {
        let revision = expected.revision.clone();
        let outcome = self
            .write(move |tables, now| {
                if !tables.may_ask(tag, caller, now)? {
                    return Ok(Outcome::Refused);
                }
                if !tables.is_unchanged(tag, &revision)? {
                    return Ok(Outcome::NotThere);
                }
                tables.remove_account(tag, now)?;
                Ok(Outcome::Done)
            })
            .await?;
        if outcome == Outcome::Done {
            self.counts.forget_guesses(tag, expected.user.known_addresses.names());
        }
        Ok(outcome)
    }
}

/// The condition of a change: the record that was read, and the entry to spend.
struct Condition {
    tag: Id,
    revision: Vec<u8>,
    spent: Option<(PendingKind, Vec<u8>)>,
}

impl Condition {
    fn new(tag: Id, expected: &StoredUser, spent: Option<Spent<'_>>) -> Self {
        let spent = spent.map(|Spent { kind, value }| (kind, value.to_vec()));
        Self { tag, revision: expected.revision.clone(), spent }
    }

    fn holds(&self, tables: &Tables<'_>, now: u64) -> Result<bool, Failure> {
        let has_entry = match &self.spent {
            Some((kind, value)) => tables.live_pending(self.tag, *kind, now)?.as_ref() == Some(value),
            None => true,
        };
        Ok(has_entry && tables.is_unchanged(self.tag, &self.revision)?)
    }

    fn spent_kind(&self) -> Option<PendingKind> {
        self.spent.as_ref().map(|(kind, _)| *kind)
    }
}
