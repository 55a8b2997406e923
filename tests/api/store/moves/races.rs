//! Moves in races of three replicas.

use std::sync::Arc;

use auth_service_records::{session::Outcome, user::User};
use auth_service_store::{Change, Moved, Store};
use auth_service_token::Id;
use rstest::rstest;

use super::{Mover, tag};
use crate::{
    store::scene::{LONG, Scene, session, user},
    support::Store::{self as On, Embedded, Redis},
};

const ROUNDS: usize = 100;

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
