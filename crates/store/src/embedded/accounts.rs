//! The operations on accounts. `accounts.rs` of the store has their contracts.

use auth_service_records::{error::Error, session::Outcome, user::User};
use auth_service_token::Id;

use super::{store::Embedded, tables::Reads};
use crate::record::{NewUser, StoredUser, decode_user, encode_changed_user, encode_new_user, encode_user};

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

    pub(crate) async fn replace_user(&self, tag: Id, expected: &StoredUser, user: &User) -> Result<Outcome, Error> {
        let (revision, record) = (expected.revision.clone(), encode_changed_user(user, expected));
        let outcome = self
            .write(move |tables, now| {
                if tables.record(tag)?.is_none_or(|found| found != revision) {
                    return Ok(Outcome::NotThere);
                }
                tables.put_user(tag, &record)?;
                tables.end_epoch(tag, now)?;
                tables.remove_sessions(tag)?;
                Ok(Outcome::Done)
            })
            .await?;
        if outcome == Outcome::Done {
            self.counts.forget_guesses(tag, expected.user.known_addresses.names());
        }
        Ok(outcome)
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
                if tables.record(tag)?.is_none_or(|record| record != revision) {
                    return Ok(Outcome::NotThere);
                }
                tables.remove_user(tag)?;
                tables.end_epoch(tag, now)?;
                tables.remove_sessions(tag)?;
                Ok(Outcome::Done)
            })
            .await?;
        if outcome == Outcome::Done {
            self.counts.forget_guesses(tag, expected.user.known_addresses.names());
        }
        Ok(outcome)
    }
}
