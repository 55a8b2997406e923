//! Moves of accounts to another email, as `crates/store/src/accounts.rs` documents them, also in races of three
//! replicas.

use std::sync::Arc;

use auth_service_records::{
    session::Outcome,
    user::{Totp, User},
};
use auth_service_store::{Change, Moved, PendingKind, Spent, Store, StoredUser};
use auth_service_token::Id;
use rstest::rstest;

use super::scene::{LONG, Scene, refresh, same, session, user};
use crate::support::Store::{self as On, Embedded, Redis};

const ROUNDS: usize = 100;
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

#[rstest]
fn a_move_races_with_a_sign_up_and_another_move(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let stores = scene.replicas();
    let winners = scene.block(async |store| {
        let mut winners = [0; 3];
        for round in 0..ROUNDS {
            let to = tag();
            let (one, other) = (Mover::new(&store, to).await, Mover::new(&store, to).await);
            let (first, second, signed_up) = race3(
                &stores,
                round,
                (one.clone(), async |mover, store| mover.run(store).await),
                (other.clone(), async |mover, store| mover.run(store).await),
                (user(), async |user, store| store.create_user(to, &user).await.unwrap()),
            )
            .await;
            let won = [first == Moved::Done, second == Moved::Done, signed_up];
            assert_eq!(won.iter().filter(|won| **won).count(), 1, "round {round}: {first:?} {second:?} {signed_up}");
            one.check(&store, won[0]).await;
            other.check(&store, won[1]).await;
            for (winner, won) in winners.iter_mut().zip(won) {
                *winner += usize::from(won);
            }
        }
        winners
    });
    println!("moves, other moves and sign-ups that won: {winners:?}");
    assert!(winners[0] + winners[1] > 0 && winners[2] > 0, "{winners:?}");
}

#[rstest]
fn one_change_of_email_that_comes_three_times_happens_once(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let stores = scene.replicas();
    scene.block(async |store| {
        for round in 0..ROUNDS {
            let mover = Mover::new(&store, tag()).await;
            let again = || (mover.clone(), async |mover: Mover, store: &Store| mover.run(store).await);
            let (first, second, third) = race3(&stores, round, again(), again(), again()).await;
            let outcomes = [first, second, third];
            let done = outcomes.iter().filter(|outcome| **outcome == Moved::Done).count();
            assert_eq!(done, 1, "round {round}: {outcomes:?}");
            assert!(!outcomes.contains(&Moved::Taken), "round {round}: {outcomes:?}");
            mover.check(&store, true).await;
        }
    });
}

#[rstest]
fn a_move_races_with_changes_and_the_deletion_of_the_account(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let stores = scene.replicas();
    scene.block(async |store| {
        for round in 0..ROUNDS {
            let mover = Mover::new(&store, tag()).await;
            let (moved, replaced, deleted) = race3(
                &stores,
                round,
                (mover.clone(), async |mover, store| mover.run(store).await),
                (mover.clone(), async |mover, store| {
                    let user = User { password_hash: "reset".to_owned(), ..mover.stored.user.clone() };
                    store.replace_user(mover.tag, &mover.stored, &user, None).await.unwrap()
                }),
                (mover.clone(), async |mover, store| store.delete_user(mover.tag, &mover.stored, None).await.unwrap()),
            )
            .await;
            let won = [moved == Moved::Done, replaced == Outcome::Done, deleted == Outcome::Done];
            assert_eq!(won.iter().filter(|won| **won).count(), 1, "round {round}: {moved:?} {replaced:?} {deleted:?}");
            if deleted == Outcome::Done {
                assert!(mover.at(&store, mover.tag).await.is_none() && mover.at(&store, mover.to).await.is_none());
            } else {
                mover.check(&store, won[0]).await;
            }
        }
    });
}

#[rstest]
fn a_move_races_with_a_sign_in_and_a_password_change(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let stores = scene.replicas();
    scene.block(async |store| {
        for round in 0..ROUNDS {
            let mover = Mover::new(&store, tag()).await;
            let (open, new) = (session(), session());
            assert!(store.open_session(mover.tag, &mover.stored, None, &open, None).await.unwrap().is_some());
            let (moved, opened, changed) = race3(
                &stores,
                round,
                (mover.clone(), async |mover, store| mover.run(store).await),
                ((mover.clone(), new.clone()), async |(mover, new), store| {
                    store.open_session(mover.tag, &mover.stored, None, &new, None).await.unwrap().is_some()
                }),
                ((mover.clone(), open.sid), async |(mover, sid), store| {
                    let user = User { password_hash: "changed".to_owned(), ..mover.stored.user.clone() };
                    let change = Change { expected: &mover.stored, user: &user, known: None };
                    store.keep_only(mover.tag, sid, tag(), Some(change)).await.unwrap()
                }),
            )
            .await;
            let was_changed = changed == Outcome::Done;
            assert_eq!(moved == Moved::Done, !was_changed, "round {round}: {moved:?} {changed:?}");
            mover.check(&store, !was_changed).await;
            for sid in [open.sid, new.sid] {
                let lives = store.check_access(mover.tag, sid).await.unwrap().is_some();
                assert!(!lives || was_changed, "round {round}: a session has survived the move; opened: {opened}");
                assert!(store.check_access(mover.to, sid).await.unwrap().is_none());
            }
        }
    });
}

/// Whoever no longer finds the account at its former email finds it at the new one, and the other way round.
#[rstest]
fn a_reader_finds_the_account_at_one_email_at_any_moment(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let stores = scene.replicas();
    scene.block(async |store| {
        for round in 0..ROUNDS {
            let mover = Mover::new(&store, tag()).await;
            let look = |first: Id, second: Id, expected: bool| {
                (mover.clone(), async move |mover: Mover, store: &Store| {
                    for _ in 0..20 {
                        if mover.at(store, first).await.is_some() == expected {
                            let other = mover.at(store, second).await.is_some();
                            assert_eq!(other, !expected, "round {round}");
                        }
                    }
                })
            };
            let run = (mover.clone(), async |mover: Mover, store: &Store| mover.run(store).await);
            let (outcome, (), ()) =
                race3(&stores, round, run, look(mover.tag, mover.to, false), look(mover.to, mover.tag, true)).await;
            assert_eq!(outcome, Moved::Done);
            mover.check(&store, true).await;
        }
    });
}

/// Runs three operations at the same time, each on a replica of its own. The round decides how much later each begins.
async fn race3<A, B, C, X, Y, Z>(
    stores: &[Arc<Store>; 3],
    round: usize,
    (a, first): (A, impl AsyncFnOnce(A, &Store) -> X),
    (b, second): (B, impl AsyncFnOnce(B, &Store) -> Y),
    (c, third): (C, impl AsyncFnOnce(C, &Store) -> Z),
) -> (X, Y, Z) {
    // A round trip for each round trip that the operation comes later.
    let wait = async |place: usize| {
        for _ in 0..(round / [1, 3, 1][place]) % [3, 8, 13][place] {
            drop(stores[place].find_user(tag()).await.unwrap());
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(
        async {
            wait(0).await;
            first(a, &stores[0]).await
        },
        async {
            wait(1).await;
            second(b, &stores[1]).await
        },
        async {
            wait(2).await;
            third(c, &stores[2]).await
        },
    )
}
