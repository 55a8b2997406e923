//! Races of servers that stop at any step, whose calls come late, and that try again.

use std::time::Duration;

use auth_service_records::{error::Error, session::Outcome, user::User};
use auth_service_store::{Moved, Store, StoredUser};
use auth_service_token::Id;
use uuid::Uuid;

use super::scene::{BEGIN, COMPLETE, DECIDE, Mover, Moves, UNMARK};
use crate::{
    gate::{Gate, Loss},
    scene::{user, wait_for},
};

const ROUNDS: u64 = 300;

/// Numbers that look random, and are the same in each run (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What a server does while another one moves the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    ReadFormer,
    ReadNew,
    MoveToo,
    SignUpAtNew,
    SignUpAtFormer,
    DeleteAtFormer,
    DeleteAtNew,
}

const ACTS: [Act; 7] = [
    Act::ReadFormer,
    Act::ReadNew,
    Act::MoveToo,
    Act::SignUpAtNew,
    Act::SignUpAtFormer,
    Act::DeleteAtFormer,
    Act::DeleteAtNew,
];

/// What is certain after an act.
#[derive(Debug, Default, Clone, Copy)]
struct Facts {
    moved: bool,
    /// The new email belonged to another account.
    taken: bool,
    signed_up: bool,
    deleted: bool,
    /// The answer was lost, so the act may have happened.
    is_unknown: bool,
}

impl Act {
    async fn run(self, store: &Store, mover: &Mover) -> Result<Facts, Error> {
        let mut facts = Facts::default();
        match self {
            Self::ReadFormer => drop(store.find_user(mover.tag).await?),
            Self::ReadNew => drop(store.find_user(mover.to).await?),
            Self::MoveToo => match mover.run(store).await? {
                Moved::Done => facts.moved = true,
                Moved::Taken => facts.taken = true,
                Moved::NotThere => {}
            },
            Self::SignUpAtNew => facts.signed_up = sign_up(store, mover.to).await?,
            Self::SignUpAtFormer => drop(sign_up(store, mover.tag).await?),
            Self::DeleteAtFormer => facts.deleted = delete(store, mover, mover.tag).await?,
            Self::DeleteAtNew => facts.deleted = delete(store, mover, mover.to).await?,
        }
        Ok(facts)
    }
}

async fn sign_up(store: &Store, tag: Id) -> Result<bool, Error> {
    Ok(store.find_user(tag).await?.is_none() && store.create_user(tag, &User { id: Uuid::new_v4(), ..user() }).await?)
}

async fn delete(store: &Store, mover: &Mover, tag: Id) -> Result<bool, Error> {
    match store.find_user(tag).await? {
        Some(found) if found.user.id == mover.after.id => {
            Ok(store.delete_user(tag, &found, None).await? == Outcome::Done)
        }
        _ => Ok(false),
    }
}

/// Runs an act on a store that may lose a call on the way. The gate knows whether the loss has happened.
async fn act(gate: &Gate, mover: &Mover, act: Act, dice: &mut Dice) -> Facts {
    let scripts = [&BEGIN, &DECIDE, &COMPLETE, &UNMARK];
    let script = scripts[usize::try_from(dice.below(4)).unwrap()];
    let loss = if dice.below(2) == 0 { Loss::Call } else { Loss::Answer };
    if dice.below(4) > 0 {
        gate.lose(&script.hash, usize::try_from(dice.below(2)).unwrap(), loss);
    }
    tokio::time::sleep(Duration::from_micros(dice.below(300))).await;
    match act.run(&gate.store, mover).await {
        Ok(facts) => facts,
        Err(Error::Unavailable(_) | Error::Overloaded) => Facts { is_unknown: true, ..Facts::default() },
        Err(error) => panic!("{act:?}: {error}", error = format_args!("{error:?}")),
    }
}

/// What happened in a round.
#[derive(Debug)]
struct Round {
    acts: [Act; 3],
    facts: [Facts; 3],
}

impl Round {
    fn has(&self, fact: fn(&Facts) -> bool) -> bool {
        self.facts.iter().any(fact)
    }

    /// Compares what is certain with where the account is: whether at the former email, and whether at the new one.
    fn check(&self, found: (bool, bool)) {
        assert_ne!(found, (true, true), "{self:?}");
        if self.has(|facts| facts.deleted) {
            assert_eq!(found, (false, false), "{self:?}: a deleted account is back");
            return;
        }
        let may_be_deleted = self
            .acts
            .iter()
            .zip(&self.facts)
            .any(|(act, facts)| matches!(act, Act::DeleteAtFormer | Act::DeleteAtNew) && facts.is_unknown);
        assert!(found != (false, false) || may_be_deleted, "{self:?}: the account is lost");
        assert!(!self.has(|facts| facts.moved) || found != (true, false), "{self:?}: the move is undone");
        assert!(!self.has(|facts| facts.taken) || found != (false, true), "{self:?}: the email was taken");
        assert!(!self.has(|facts| facts.signed_up) || !found.1, "{self:?}: two accounts have one email");
    }
}

/// Where the account is, after any move is complete.
async fn find(moves: &Moves, mover: &Mover) -> (bool, bool) {
    let store = &moves.scene.store;
    let former = store.find_user(mover.tag).await.unwrap();
    let new = store.find_user(mover.to).await.unwrap();
    assert!(!moves.is_marked(mover));
    let is_there = |found: Option<StoredUser>| found.is_some_and(|found| found.user.id == mover.after.id);
    (is_there(former), is_there(new))
}

#[tokio::test]
async fn three_servers_that_lose_calls_leave_one_account_or_none() {
    let moves = Moves::new().await;
    let mut gates = Vec::new();
    for _ in 0..3 {
        gates.push(Gate::start(moves.scene.socket()).await);
    }
    let mut dice = Dice(0x5eed);
    let mut counts = [0; 5];
    for round in 0..ROUNDS {
        for gate in &gates {
            gate.lose_nothing();
            wait_for(&gate.store).await;
        }
        let mover = moves.account().await;
        let acts = [Act::MoveToo, ACTS[(round % 7) as usize], ACTS[(round / 7 % 7) as usize]];
        let mut own = [(); 3].map(|()| Dice(dice.below(1 << 40) + 1));
        let [one, two, three] = &mut own;
        let facts = tokio::join!(
            act(&gates[0], &mover, acts[0], one),
            act(&gates[1], &mover, acts[1], two),
            act(&gates[2], &mover, acts[2], three),
        );
        let round = Round { acts, facts: facts.into() };
        // The lost calls come late, in half of the rounds before the next reader.
        if dice.below(2) == 0 {
            gates.iter().for_each(Gate::deliver_if_lost);
        }
        let before = find(&moves, &mover).await;
        round.check(before);
        gates.iter().for_each(Gate::deliver_if_lost);
        let after = find(&moves, &mover).await;
        round.check(after);
        // A late call of step 1 may begin the move, because its answer was lost.
        assert!(
            before == after || (before, after) == ((true, false), (false, true)),
            "{round:?}: {before:?} {after:?}"
        );
        let happened: [fn(&Facts) -> bool; 5] = [
            |facts| facts.moved,
            |facts| facts.taken,
            |facts| facts.signed_up,
            |facts| facts.deleted,
            |facts| facts.is_unknown,
        ];
        for (count, fact) in counts.iter_mut().zip(happened) {
            *count += u32::from(round.has(fact));
        }
    }
    println!("of {ROUNDS} rounds: moved, taken, signed up, deleted, answer lost: {counts:?}");
    assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
}
