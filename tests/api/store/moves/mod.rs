//! Moves of accounts to another email, as `crates/store/src/accounts.rs` documents them.

mod races;

use auth_service_records::{
    session::Outcome,
    user::{Totp, User},
};
use auth_service_store::{Moved, PendingKind, Spent, Store, StoredUser};
use auth_service_token::Id;
use rstest::rstest;

use super::scene::{LONG, Scene, refresh, same, session, user};
use crate::support::Store::{self as On, Embedded, Redis};

const VALUE: &[u8] = b"the digest of a secret";
const SPENT: Spent<'_> = Spent { kind: PendingKind::EmailChange, value: VALUE };

/// An account that may move, and its new email.
#[derive(Clone)]
struct Mover {
    tag: Id,
    to: Id,
    stored: StoredUser,
    /// The account after the move.
    user: User,
}

impl Mover {
    /// An account that has asked to move to the tag `to`.
    async fn new(store: &Store, to: Id) -> Self {
        let (tag, before) = (Id::random().unwrap(), user());
        assert!(store.create_user(tag, &before).await.unwrap());
        store.put_pending(tag, PendingKind::EmailChange, VALUE, 60).await.unwrap();
        let stored = store.find_user(tag).await.unwrap().unwrap();
        let user = User { email: "new@example.com".to_owned(), email_verified_at: Some(7), ..before };
        Self { tag, to, stored, user }
    }

    async fn run(&self, store: &Store) -> Moved {
        store.move_user(self.tag, self.to, &self.stored, &self.user, SPENT).await.unwrap()
    }

    async fn at(&self, store: &Store, tag: Id) -> Option<User> {
        store.find_user(tag).await.unwrap().map(|found| found.user).filter(|found| found.id == self.user.id)
    }

    /// Checks that the account is at one tag only, with the record that belongs there.
    async fn check(&self, store: &Store, has_moved: bool) {
        let (here, there) = (self.at(store, self.tag).await, self.at(store, self.to).await);
        let found = if has_moved { (&there, &here) } else { (&here, &there) };
        let (Some(found), None) = found else { panic!("moved: {has_moved}; {here:?} and {there:?}") };
        let expected = if has_moved { &self.user } else { &self.stored.user };
        assert_eq!((&found.email, found.email_verified_at), (&expected.email, expected.email_verified_at));
    }
}

fn tag() -> Id {
    Id::random().unwrap()
}

#[rstest]
fn a_moved_account_keeps_everything_but_its_email_and_its_sessions(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    scene.block(async |store| {
        let to = tag();
        let mut mover = Mover::new(&store, to).await;
        let totp = Totp { secret: "sealed".to_owned(), confirmed_at: 1, last_step: 2, recovery_codes: vec![tag()] };
        let changed = User { totp: Some(totp.clone()), ..mover.stored.user.clone() };
        assert_eq!(store.update_user(mover.tag, &mover.stored, &changed, None).await.unwrap(), Outcome::Done);
        mover.stored = store.find_user(mover.tag).await.unwrap().unwrap();
        mover.user.totp = Some(totp.clone());
        let session = session();
        assert!(store.open_session(mover.tag, &mover.stored, None, &session, None).await.unwrap().is_some());
        let kinds = [PendingKind::PasswordReset, PendingKind::EmailVerification, PendingKind::Totp];
        for kind in kinds {
            store.put_pending(mover.tag, kind, VALUE, 60).await.unwrap();
        }
        assert_eq!(mover.run(&store).await, Moved::Done);
        mover.check(&store, true).await;
        let moved = store.find_user(to).await.unwrap().unwrap();
        assert!(same(&moved, &mover.user) && moved.user.totp == Some(totp));
        for tag in [mover.tag, to] {
            assert!(store.check_access(tag, session.sid).await.unwrap().is_none());
            assert!(!refresh(&store, tag, session.sid).await.unwrap());
            for kind in kinds {
                assert_eq!(store.find_pending(tag, kind).await.unwrap(), None);
            }
        }
        assert!(store.create_user(mover.tag, &user()).await.unwrap(), "the former email is free");
        assert!(!store.create_user(to, &user()).await.unwrap());
        assert!(store.open_session(to, &moved, None, &session, None).await.unwrap().is_some());
        assert!(store.check_access(to, session.sid).await.unwrap().unwrap().email_verified);
        assert_eq!(store.delete_user(to, &moved, None).await.unwrap(), Outcome::Done);
        assert!(store.find_user(to).await.unwrap().is_none());
    });
}

#[rstest]
fn a_move_needs_an_unchanged_account_its_entry_and_a_free_email(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    scene.block(async |store| {
        let to = tag();
        let (mover, other) = (Mover::new(&store, to).await, Spent { value: b"another value", ..SPENT });
        let outcome = store.move_user(mover.tag, to, &mover.stored, &mover.user, other).await.unwrap();
        assert_eq!(outcome, Moved::NotThere);
        let changed = User { password_hash: "another".to_owned(), ..mover.stored.user.clone() };
        assert_eq!(store.update_user(mover.tag, &mover.stored, &changed, None).await.unwrap(), Outcome::Done);
        assert_eq!(mover.run(&store).await, Moved::NotThere, "the account has changed");
        mover.check(&store, false).await;
        let taken = Mover { stored: store.find_user(mover.tag).await.unwrap().unwrap(), ..mover };
        assert!(store.create_user(to, &user()).await.unwrap());
        let session = session();
        assert!(store.open_session(taken.tag, &taken.stored, None, &session, None).await.unwrap().is_some());
        assert_eq!(taken.run(&store).await, Moved::Taken);
        taken.check(&store, false).await;
        assert!(store.check_access(taken.tag, session.sid).await.unwrap().is_some());
        let value = store.find_pending(taken.tag, PendingKind::EmailChange).await.unwrap();
        assert_eq!(value.as_deref(), Some(VALUE), "the owner may try again");
        let respelled = User { email: "A@Example.com".to_owned(), ..taken.stored.user.clone() };
        let outcome = store.move_user(taken.tag, taken.tag, &taken.stored, &respelled, SPENT).await.unwrap();
        assert_eq!(outcome, Moved::Done);
        assert_eq!(store.find_user(taken.tag).await.unwrap().unwrap().user.email, "A@Example.com");
        assert!(store.check_access(taken.tag, session.sid).await.unwrap().is_none());
        assert_eq!(store.find_pending(taken.tag, PendingKind::EmailChange).await.unwrap(), None);
    });
}
