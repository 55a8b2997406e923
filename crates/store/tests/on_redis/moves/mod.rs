//! Moves of accounts to another email that stop between two steps, and calls of scripts that come late.

mod scene;
mod storms;

use auth_service_records::{clock::Clock, session::Outcome, user::User};
use auth_service_store::{
    Moved, Store,
    backend::Backend,
    settings::{RedisSettings, StoreSettings},
};
use uuid::Uuid;

use self::scene::{BEGIN, COMPLETE, DECIDE, Mover, Moves, UNMARK};
use crate::{
    gate::Loss,
    scene::{POLICY, connect, id, user},
};

/// Who comes next, after a server has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    ReaderOfTheFormerEmail,
    ReaderOfTheNewEmail,
    List,
    SignUp,
    AnotherMove,
    ManyReaders,
}

impl Next {
    const ALL: [Self; 6] = [
        Self::ReaderOfTheFormerEmail,
        Self::ReaderOfTheNewEmail,
        Self::List,
        Self::SignUp,
        Self::AnotherMove,
        Self::ManyReaders,
    ];

    /// Returns whether the new email was taken.
    async fn come(self, moves: &Moves, mover: &Mover, replicas: &[Store]) -> bool {
        let store = moves.store();
        match self {
            Self::ReaderOfTheFormerEmail => drop(store.find_user(mover.tag).await.unwrap()),
            Self::ReaderOfTheNewEmail => drop(store.find_user(mover.to).await.unwrap()),
            Self::List => {
                let settings = StoreSettings::Redis(RedisSettings::at(&moves.scene.url()).into());
                let mut users = Backend::open(&settings, POLICY, Clock::new()).unwrap().users().await.unwrap();
                let mut found = 0;
                loop {
                    let page = users.next_page().await.unwrap();
                    found += page.iter().filter(|stored| stored.user.id == mover.after.id).count();
                    if page.is_empty() {
                        break;
                    }
                }
                assert!(found <= 2, "a list may have an account under both emails");
            }
            Self::SignUp => return store.create_user(mover.to, &User { id: Uuid::new_v4(), ..user() }).await.unwrap(),
            Self::AnotherMove => {
                let other = Mover { to: mover.to, ..moves.account().await };
                let outcome = other.run(store).await.unwrap();
                moves.check(&other, outcome == Moved::Done, "the other move").await;
                return outcome == Moved::Done;
            }
            Self::ManyReaders => {
                let all = replicas.iter().flat_map(|store| [(store, mover.tag), (store, mover.to)]);
                futures_util::future::join_all(all.map(async |(store, tag)| store.find_user(tag).await.unwrap())).await;
            }
        }
        false
    }
}

#[tokio::test]
async fn a_move_that_stops_at_any_step_is_completed_by_whoever_comes_next() {
    let moves = Moves::new().await;
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(connect(&moves.scene.url(), POLICY, Clock::new()).await);
    }
    for (step, script) in [&BEGIN, &DECIDE, &COMPLETE, &UNMARK].into_iter().enumerate() {
        for loss in [Loss::Call, Loss::Answer] {
            for next in Next::ALL {
                let case = format!("step {} loses its {loss:?}, then {next:?}", step + 1);
                let mover = moves.account().await;
                moves.stop(&mover, script, loss).await;
                let begun = (step, loss) != (0, Loss::Call);
                assert_eq!(moves.is_marked(&mover), begun && (step, loss) != (3, Loss::Answer), "{case}");
                let taken = next.come(&moves, &mover, &replicas).await;
                let decided = step > 1 || (step, loss) == (1, Loss::Answer);
                let completes = match next {
                    Next::List | Next::ManyReaders => true,
                    Next::ReaderOfTheFormerEmail => step < 2 || (step, loss) == (2, Loss::Call),
                    Next::ReaderOfTheNewEmail | Next::AnotherMove => decided,
                    Next::SignUp => false,
                };
                assert!(!completes || !moves.is_marked(&mover), "{case}");
                assert!(!taken || !decided, "{case}: two accounts have the email");
                moves.check(&mover, begun && !taken, &case).await;
                if loss == Loss::Call && begun {
                    let before = (moves.at(mover.tag), moves.at(mover.to));
                    let answer = moves.gate.deliver();
                    assert_eq!((moves.at(mover.tag), moves.at(mover.to)), before, "{case}: {answer}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_late_step_revives_no_deleted_account_and_harms_no_later_one() {
    let moves = Moves::new().await;
    for script in [&DECIDE, &COMPLETE, &UNMARK] {
        for taken_anew in [false, true] {
            let mover = moves.account().await;
            moves.stop(&mover, script, Loss::Call).await;
            let found = moves.store().find_user(mover.to).await.unwrap();
            // A reader of a free email does not know of a move that has not reached it.
            assert_eq!(found.is_some(), **script != *DECIDE);
            moves.check(&mover, true, "the next reader").await;
            let stored = moves.store().find_user(mover.to).await.unwrap().unwrap();
            assert_eq!(moves.store().delete_user(mover.to, &stored, None).await.unwrap(), Outcome::Done);
            if taken_anew {
                for tag in [mover.tag, mover.to] {
                    assert!(moves.store().create_user(tag, &User { id: Uuid::new_v4(), ..user() }).await.unwrap());
                }
            }
            let before = (moves.at(mover.tag), moves.at(mover.to));
            let answer = moves.gate.deliver();
            assert_eq!((moves.at(mover.tag), moves.at(mover.to)), before, "{answer}");
            assert_eq!(moves.record(mover.to).is_some(), taken_anew);
        }
    }
}

#[tokio::test]
async fn a_decision_against_a_move_stands_when_the_email_is_free_again() {
    let moves = Moves::new().await;
    let mover = moves.account().await;
    moves.stop(&mover, &DECIDE, Loss::Call).await;
    let other = User { id: Uuid::new_v4(), ..user() };
    assert!(moves.store().create_user(mover.to, &other).await.unwrap());
    moves.check(&mover, false, "the email is taken").await;
    let stored = moves.store().find_user(mover.to).await.unwrap().unwrap();
    assert_eq!(moves.store().delete_user(mover.to, &stored, None).await.unwrap(), Outcome::Done);
    assert_eq!(moves.gate.deliver(), ":-1");
    assert_eq!(moves.record(mover.to), None);
    moves.check(&mover, false, "the email is free again").await;
    let ttl = moves.scene.ttl(&format!("as:{{{}}}:{}", mover.to, moves.decision(mover.to)));
    assert_eq!(ttl, 3_600);
}

/// Whose account a record is must not depend on a text that its owner has chosen.
#[tokio::test]
async fn an_email_that_contains_the_id_of_the_mover_belongs_to_another_account() {
    let moves = Moves::new().await;
    for (script, has_moved) in [(&DECIDE, false), (&UNMARK, true)] {
        let mover = moves.account().await;
        moves.stop(&mover, script, Loss::Call).await;
        let email = format!("{}@example.com", mover.after.id);
        let free = if has_moved { mover.tag } else { mover.to };
        assert!(moves.store().create_user(free, &User { id: Uuid::new_v4(), email, ..user() }).await.unwrap());
        moves.check(&mover, has_moved, "another account has the other email").await;
    }
}

/// The last step, too, gives the decision its whole life again, because a server may have read the mark until then.
#[tokio::test]
async fn a_decision_lives_for_an_hour_after_the_move_is_complete() {
    let moves = Moves::new().await;
    let mover = moves.account().await;
    moves.stop(&mover, &COMPLETE, Loss::Call).await;
    let decision = format!("as:{{{}}}:{}", mover.to, moves.decision(mover.to));
    moves.scene.expire(&decision, 5);
    assert!(moves.store().find_user(mover.to).await.unwrap().is_some());
    assert_eq!(moves.scene.ttl(&decision), 3_600);
}

/// A server that was stopped for longer than a decision lives.
#[tokio::test]
async fn a_server_that_comes_too_late_decides_nothing() {
    let moves = Moves::new().await;
    let (tag, decision) = (id(), id());
    let keys = [format!("as:{{{tag}}}:u"), format!("as:{{{tag}}}:d:{decision}")];
    let now: Vec<u64> = moves.scene.redis(&["TIME"]);
    for (latest, answer) in [(now[0] - 1, "-2"), (now[0] + 60, "1"), (now[0] - 1, "0")] {
        let latest = latest.to_string();
        let call = ["EVALSHA", &DECIDE.hash, "2", &keys[0], &keys[1], "{}", "user", &latest, "3600"];
        assert_eq!(moves.scene.redis::<i64>(&call).to_string(), answer);
        assert_eq!(moves.at(tag).is_empty(), answer == "-2");
    }
}

/// Without `REDIS_WAIT_REPLICAS`, a failover in a cluster may undo the last writes of one of the two servers.
#[tokio::test]
async fn a_step_that_a_failover_has_undone_is_made_up_for() {
    let moves = Moves::new().await;
    let store = moves.store();

    let mover = moves.account().await;
    let original = moves.record(mover.tag).unwrap();
    moves.stop(&mover, &COMPLETE, Loss::Call).await;
    moves.restore(mover.tag, &original);
    assert!(store.find_user(mover.to).await.unwrap().is_none());
    moves.check(&mover, false, "step 1 is undone").await;

    let mover = moves.account().await;
    moves.stop(&mover, &COMPLETE, Loss::Call).await;
    let leaving = moves.record(mover.tag).unwrap();
    moves.forget(mover.to, "u");
    moves.forget(mover.to, &moves.decision(mover.to));
    moves.check(&mover, true, "step 2 is undone").await;

    for decision_expires in [false, true] {
        moves.restore(mover.tag, &leaving);
        if decision_expires {
            moves.forget(mover.to, &moves.decision(mover.to));
        }
        assert!(store.find_user(mover.tag).await.unwrap().is_none(), "step 3 is undone");
        moves.check(&mover, true, "step 3 is undone").await;
    }

    let mover = moves.account().await;
    moves.stop(&mover, &UNMARK, Loss::Call).await;
    let arriving = moves.record(mover.to).unwrap();
    for taken_anew in [false, true] {
        moves.check(&mover, true, "the move is complete").await;
        if taken_anew {
            assert!(store.create_user(mover.tag, &User { id: Uuid::new_v4(), ..user() }).await.unwrap());
        }
        moves.restore(mover.to, &arriving);
        moves.check(&mover, true, "step 4 is undone").await;
    }
    assert!(store.find_user(mover.tag).await.unwrap().is_some());
}
