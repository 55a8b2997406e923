//! The embedded store: one redb file, one writer thread that commits in groups, reads on snapshots.
//!
//! An operation is answered after the commit that holds it has reached the disk, so a crash loses nothing acknowledged.

mod counts;
mod file;
mod tables;
mod writer;

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{
    counts::Counts,
    file::{File, Snapshot},
    tables::{Tables, epoch, live_epoch, live_sessions},
    writer::Writer,
};
use super::{Finding, OpenError, StoredUser, Verdict, decode_profile, decode_user, encode_user, record};
use crate::{
    clock::unix_millis,
    error::{Error, Outage},
    id::Id,
    session::{NewSession, Outcome, Refreshed, Session, SessionPolicy},
    throttle::{Admission, Counter, KNOWN_DAYS, Limit},
    user::{Profile, User},
};

/// In the data directory.
const FILE_NAME: &str = "store.redb";

/// The store of one data directory, which no other process can open meanwhile.
pub struct Embedded {
    directory: PathBuf,
    file: Arc<File>,
    writer: Writer,
    counts: Counts,
}

impl Embedded {
    /// Whether there is a store in `directory`.
    pub(super) fn is_in(directory: &Path) -> bool {
        directory.join(FILE_NAME).is_file()
    }

    pub(super) fn open(directory: &Path, policy: SessionPolicy) -> Result<Self, OpenError> {
        prepare_directory(directory)?;
        let file = File::open(directory.join(FILE_NAME)).map_err(|error| open_error(directory, &error))?;
        let file = Arc::new(file);
        let writer =
            Writer::start(Arc::clone(&file), policy).map_err(|error| OpenError::in_directory(directory, &error))?;
        Ok(Self { directory: directory.to_owned(), file, writer, counts: Counts::default() })
    }

    /// The data directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its files, who may read them, and the room on their disk.
    pub(super) fn inspect(&self) -> std::io::Result<Vec<Finding>> {
        let place = self.directory.display().to_string();
        let (file, directory) =
            (std::fs::metadata(self.directory.join(FILE_NAME))?, std::fs::metadata(&self.directory)?);
        let disk = rustix::fs::statvfs(&self.directory)?;
        // Not its length: redb makes it longer ahead of what it writes, and a hole takes no room.
        let (used, free) = ((file.blocks() * 512) >> 20, disk.f_bavail.saturating_mul(disk.f_frsize) >> 20);
        // Room for the file once more, which redb may take to tidy it.
        let (room, advice) = match free > used.max(64) {
            true => (Verdict::Ok, ""),
            false => (Verdict::Warning, "make room: writes fail when the disk is full"),
        };
        let mode = directory.permissions().mode() & 0o777;
        Ok(vec![
            Finding::new(&place, "server", Verdict::Ok, "the embedded store, for one server", ""),
            Finding::new(&place, "permissions", Verdict::Ok, format!("mode {mode:04o}"), ""),
            Finding::new(
                &place,
                "memory",
                room,
                format!("{used} MiB in the file, {free} MiB free on the disk"),
                advice,
            ),
        ])
    }

    pub(super) async fn create_user(&self, tag: Id, user: &User) -> Result<bool, Error> {
        let record = encode_user(user);
        self.writer.write(move |tables, _| tables.create_user(tag, &record)).await
    }

    pub(super) fn find_user(&self, tag: Id) -> Result<Option<StoredUser>, Error> {
        let record =
            self.read(|snapshot| Ok(snapshot.users.get(tag.as_str())?.map(|user| record(user.value()).to_vec())))?;
        record.map(decode_user).transpose()
    }

    pub(super) async fn delete_user(
        &self,
        tag: Id,
        seen: Option<&StoredUser>,
        asking: Option<Id>,
    ) -> Result<Outcome, Error> {
        let seen = seen.map(|seen| seen.revision.clone());
        let outcome = self.writer.write(move |tables, now| tables.delete_user(tag, seen.as_deref(), asking, now)).await;
        if matches!(outcome, Ok(Outcome::Done)) {
            self.counts.forget(tag);
        }
        outcome
    }

    pub(super) async fn open_session(
        &self,
        tag: Id,
        seen: &StoredUser,
        upgraded: Option<&User>,
        session: &NewSession,
        address: Id,
    ) -> Result<bool, Error> {
        let (seen, upgraded) = (seen.revision.clone(), upgraded.map(encode_user));
        let session = session.clone();
        let opened = self
            .writer
            .write(move |tables, now| tables.open_session(tag, &seen, upgraded.as_deref(), &session, address, now))
            .await?;
        if opened {
            self.counts.forget(tag);
        }
        Ok(opened)
    }

    pub(super) fn check_access(&self, tag: Id, sid: Id) -> Result<bool, Error> {
        self.read(|snapshot| {
            let user = snapshot.users.get(tag.as_str())?;
            user.map_or(Ok(false), |user| access_lives(snapshot, user.value(), tag, sid))
        })
    }

    pub(super) fn profile(&self, tag: Id, sid: Id) -> Result<Option<Profile>, Error> {
        self.read(|snapshot| {
            let Some(user) = snapshot.users.get(tag.as_str())? else { return Ok(Ok(None)) };
            let lives = access_lives(snapshot, user.value(), tag, sid)?;
            Ok(lives.then(|| decode_profile(user.value())).transpose())
        })?
    }

    pub(super) async fn refresh(
        &self,
        tag: Id,
        sid: Id,
        refresh_id: Id,
        next_id: Option<Id>,
    ) -> Result<Refreshed, Error> {
        self.writer.write(move |tables, now| tables.refresh(tag, sid, refresh_id, next_id, now)).await
    }

    pub(super) async fn renew(&self, tag: Id, sid: Id, refresh_id: Id) -> Result<Option<u64>, Error> {
        self.writer.write(move |tables, now| tables.renew(tag, sid, refresh_id, now)).await
    }

    pub(super) fn list_sessions(&self, tag: Id, asking: Option<Id>) -> Result<Option<Vec<Session>>, Error> {
        self.read(|snapshot| {
            let user = snapshot.users.get(tag.as_str())?;
            let user = user.as_ref().map(|user| user.value()).unwrap_or_default();
            if let Some(sid) = asking
                && !access_lives(snapshot, user, tag, sid)?
            {
                return Ok(None);
            }
            let now = unix_millis();
            let Some((epoch, _)) = live_epoch(user, now) else { return Ok(Some(Vec::new())) };
            let mut live = live_sessions(&snapshot.sessions, tag, epoch, now)?;
            live.reverse();
            Ok(Some(live))
        })
    }

    pub(super) async fn end_session(&self, tag: Id, sid: Id, asking: Option<Id>) -> Result<Outcome, Error> {
        self.writer.write(move |tables, now| tables.end_session(tag, sid, asking, now)).await
    }

    pub(super) async fn keep_only(
        &self,
        tag: Id,
        sid: Id,
        epoch: Id,
        change: Option<(&StoredUser, &User)>,
    ) -> Result<Outcome, Error> {
        let change = change.map(|(seen, user)| (seen.revision.clone(), encode_user(user)));
        let changes_password = change.is_some();
        let keep_only = move |tables: &mut Tables<'_>, now| {
            let change = change.as_ref().map(|(seen, record)| (seen.as_slice(), record.as_slice()));
            tables.keep_only(tag, sid, epoch, change, now)
        };
        let outcome = self.writer.write(keep_only).await;
        if changes_password && matches!(outcome, Ok(Outcome::Done)) {
            self.counts.forget(tag);
        }
        outcome
    }

    pub(super) async fn remove_tokens(&self, tag: Id, asking: Option<Id>) -> Result<Outcome, Error> {
        self.writer.write(move |tables, now| tables.remove_tokens(tag, asking, now)).await
    }

    pub(super) fn admit(&self, tag: Id, address: Id) -> Result<Admission, Error> {
        let now = unix_millis();
        let known_at =
            self.read(|snapshot| Ok(snapshot.known.get((tag.as_str(), address.as_str()))?.map(|at| at.value())))?;
        if known_at.is_some_and(|at| at + KNOWN_DAYS * 24 * 60 * 60 > now / 1_000) {
            return Ok(Admission::Known);
        }
        Ok(self.counts.admit(tag, now))
    }

    pub(super) fn withdraw(&self, tag: Id) {
        self.counts.withdraw(tag);
    }

    pub(super) fn count(&self, counter: Counter, address: Id, limit: Limit, add: u64) -> Option<u64> {
        self.counts.count(counter, address, limit, add, unix_millis())
    }

    pub(super) fn ready(&self) -> Result<(), Error> {
        if self.writer.writes() { Ok(()) } else { Err(Error::Unavailable(Outage::Refused)) }
    }

    fn read<T>(&self, look: impl FnOnce(&Snapshot) -> Result<T, redb::Error>) -> Result<T, Error> {
        self.file.read(look).map_err(|error| storage_failure(&error))
    }
}

fn prepare_directory(directory: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::in_directory(directory, &error);
    match fs::metadata(directory) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => Err(OpenError::Settings(format!(
            "DATA_DIR {0} is open to other users: run `chmod 700 {0}`, or name a directory that is not there yet",
            directory.display()
        ))),
        Ok(_) => Ok(()),
        Err(_) => fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed),
    }
}

fn open_error(directory: &Path, error: &redb::Error) -> OpenError {
    let directory = directory.display();
    OpenError::Failed(match error {
        redb::Error::DatabaseAlreadyOpen => format!(
            "the embedded store in {directory} is held by another process, probably a running server: stop it first, \
             or use Redis to run several"
        ),
        other => format!("the embedded store in {directory} cannot be opened: {other}"),
    })
}

fn storage_failure(error: &redb::Error) -> Error {
    tracing::error!(%error, "the embedded store failed");
    Error::Unavailable(Outage::Refused)
}

/// Whether the session is of the user's present epoch, and has a live access token.
fn access_lives(snapshot: &Snapshot, user: &[u8], tag: Id, sid: Id) -> Result<bool, redb::Error> {
    let now = unix_millis();
    let Some((epoch, _)) = epoch(user).filter(|(_, end)| *end > now) else { return Ok(false) };
    let session = snapshot.sessions.get((tag.as_str(), sid.as_str()))?;
    Ok(session.is_some_and(|session| {
        let (session_epoch, access_end, ..) = session.value();
        session_epoch == epoch && access_end > now
    }))
}
