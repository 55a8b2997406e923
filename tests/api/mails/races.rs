//! Races of links over three replicas: one winner, and nothing half done.

use rstest::rstest;
use serde_json::json;

use super::scene::{NEW_PASSWORD, assert_wrong_token, next_token, with_mail};
use crate::support::{
    Answer, Mailbox, PASSWORD, Racer, Session,
    Store::{self, Embedded, Redis},
    at_once, claims, race, unique_email,
};

const OTHER_PASSWORD: &str = "third horse of the race";

/// A new account, with the token of a link that resets its password.
fn forgetful(racer: &Racer<'_>, mailbox: &Mailbox) -> (String, String) {
    let email = unique_email();
    racer.sign_up(&email);
    assert_eq!(racer.insist(|app| app.forgot_password(&email)).status, 202);
    let token = next_token(mailbox, "reset", &email);
    (email, token)
}

/// A new account that is signed in, with the token of a link that changes its email to `new`.
fn moving(racer: &Racer<'_>, mailbox: &Mailbox, new: &str) -> (Session, String) {
    let email = unique_email();
    racer.sign_up(&email);
    let session = racer.sign_in(&email, PASSWORD);
    assert_eq!(racer.insist(|app| app.change_email(&session.access_token, new, PASSWORD)).status, 202);
    let token = next_token(mailbox, "change", new);
    (session, token)
}

fn sub(session: &Session) -> String {
    claims(&session.access_token)["sub"].as_str().unwrap().to_owned()
}

/// Runs a race on servers that send their mails to one mailbox.
fn race_by_mail(store: Store, round: impl Fn(&Racer<'_>, &Mailbox) + Sync) {
    let mailbox = Mailbox::start();
    race(store, &with_mail(&mailbox.url(), &[]), |racer, rounds| (0..rounds).for_each(|_| round(racer, &mailbox)));
}

/// Whether the winner's password is in force, and no other.
#[track_caller]
fn assert_password(racer: &Racer<'_>, email: &str, right: &str, wrong: [&str; 2]) {
    racer.assert_lives(&racer.sign_in(email, right));
    for wrong in wrong {
        racer.insist(|app| app.authenticate(email, wrong)).assert_error(401, "invalid_credentials");
    }
}

#[rstest]
fn two_resets_with_one_token(#[values(Redis, Embedded)] store: Store) {
    race_by_mail(store, |racer, mailbox| {
        let (email, token) = forgetful(racer, mailbox);
        let reset = |new: &'static str| racer.insist(|app| app.reset_password(&token, new));
        let (one, other) = at_once(|| reset(NEW_PASSWORD), || reset(OTHER_PASSWORD));
        let (winner, loser, right, wrong) = match one.status {
            200 => (one, other, NEW_PASSWORD, OTHER_PASSWORD),
            _ => (other, one, OTHER_PASSWORD, NEW_PASSWORD),
        };
        winner.assert(200, &json!({"result": "Password reset, all sessions ended"}));
        assert_wrong_token(&loser);
        assert_password(racer, &email, right, [wrong, PASSWORD]);
    });
}

/// A sign-in with the old password either comes before the reset, which then ends its session, or fails.
#[rstest]
fn reset_against_sign_in(#[values(Redis, Embedded)] store: Store) {
    race_by_mail(store, |racer, mailbox| {
        let (email, token) = forgetful(racer, mailbox);
        let (sign_ins, reset) = at_once(
            || [0, 1].map(|_| racer.insist(|app| app.authenticate(&email, PASSWORD))),
            || racer.insist(|app| app.reset_password(&token, NEW_PASSWORD)),
        );
        assert_eq!(reset.status, 200, "{reset:?}");
        for answer in sign_ins {
            match answer.status {
                200 => racer.assert_dead(&Session::of(&email, &answer)),
                _ => answer.assert_error(401, "invalid_credentials"),
            }
        }
        assert_password(racer, &email, NEW_PASSWORD, [PASSWORD, OTHER_PASSWORD]);
    });
}

#[rstest]
fn change_of_an_email_against_a_sign_up_of_that_email(#[values(Redis, Embedded)] store: Store) {
    race_by_mail(store, |racer, mailbox| {
        let new = unique_email();
        let (session, token) = moving(racer, mailbox, &new);
        let (changed, signed_up) = at_once(
            || racer.insist(|app| app.verify_email(&token)),
            || racer.insist(|app| app.sign_up(&new, NEW_PASSWORD)),
        );
        assert_one_account_each(racer, &session, &new, [&changed, &signed_up]);
    });
}

/// Asserts that exactly one of a change and a sign-up has got the email, and that the other has left everything as it
/// was.
#[track_caller]
fn assert_one_account_each(racer: &Racer<'_>, session: &Session, new: &str, [changed, signed_up]: [&Answer; 2]) {
    let Session { email: old, .. } = session;
    let refused = |email: &str, password: &str| {
        racer.insist(|app| app.authenticate(email, password)).assert_error(401, "invalid_credentials");
    };
    if changed.status == 200 {
        signed_up.assert_error(409, "email_taken");
        racer.assert_dead(session);
        let moved = racer.sign_in(new, PASSWORD);
        racer.assert_lives(&moved);
        assert_eq!(sub(&moved), sub(session));
        refused(old, PASSWORD);
        refused(new, NEW_PASSWORD);
    } else {
        changed.assert_error(409, "email_taken");
        assert_eq!(signed_up.status, 201, "{signed_up:?}");
        let (stayed, other) = (racer.sign_in(old, PASSWORD), racer.sign_in(new, NEW_PASSWORD));
        assert_eq!(sub(&stayed), sub(session));
        assert_ne!(sub(&other), sub(session));
        refused(new, PASSWORD);
    }
}

#[rstest]
fn two_changes_to_one_email(#[values(Redis, Embedded)] store: Store) {
    race_by_mail(store, |racer, mailbox| {
        let new = unique_email();
        let movers = [moving(racer, mailbox, &new), moving(racer, mailbox, &new)];
        let change = |n: usize| racer.insist(|app| app.verify_email(&movers[n].1));
        let (one, other) = at_once(|| change(0), || change(1));
        let winner = usize::from(one.status != 200);
        let [won, lost] = if winner == 0 { [one, other] } else { [other, one] };
        won.assert(200, &json!({"result": "Email changed, all sessions ended"}));
        lost.assert_error(409, "email_taken");
        let (moved, stayed) = (&movers[winner].0, &movers[1 - winner].0);
        racer.assert_dead(moved);
        assert_eq!(sub(&racer.sign_in(&new, PASSWORD)), sub(moved));
        assert_eq!(sub(&racer.sign_in(&stayed.email, PASSWORD)), sub(stayed));
        racer.insist(|app| app.authenticate(&moved.email, PASSWORD)).assert_error(401, "invalid_credentials");
    });
}

/// A new password cancels every request for another email, as the notice to the owner says. A request that is on its way
/// is no exception, because a thief of the former password may have sent it.
#[rstest]
fn request_for_another_email_against_reset(#[values(Redis, Embedded)] store: Store) {
    race_by_mail(store, |racer, mailbox| {
        let (old, reset) = forgetful(racer, mailbox);
        let (session, new) = (racer.sign_in(&old, PASSWORD), unique_email());
        let (requested, was_reset) = at_once(
            || racer.insist(|app| app.change_email(&session.access_token, &new, PASSWORD)),
            || racer.insist(|app| app.reset_password(&reset, NEW_PASSWORD)),
        );
        assert_eq!(was_reset.status, 200, "{was_reset:?}");
        match requested.status {
            202 => {
                let token = next_token(mailbox, "change", &new);
                assert_wrong_token(&racer.insist(|app| app.verify_email(&token)));
            }
            403 => requested.assert_error(403, "wrong_password"),
            _ => requested.assert_error(401, "invalid_token"),
        }
        assert_eq!(sub(&racer.sign_in(&old, NEW_PASSWORD)), sub(&session));
    });
}

/// Both tokens are of one account: the reset ends the link of the change, or comes too late for the former email.
#[rstest]
fn change_against_reset(#[values(Redis, Embedded)] store: Store) {
    race_by_mail(store, |racer, mailbox| {
        let new = unique_email();
        let (session, change) = moving(racer, mailbox, &new);
        let old = &session.email;
        assert_eq!(racer.insist(|app| app.forgot_password(old)).status, 202);
        let reset = next_token(mailbox, "reset", old);
        let (changed, was_reset) = at_once(
            || racer.insist(|app| app.verify_email(&change)),
            || racer.insist(|app| app.reset_password(&reset, NEW_PASSWORD)),
        );
        let (won, lost, email, password) = match changed.status {
            200 => (changed, was_reset, &new, PASSWORD),
            _ => (was_reset, changed, old, NEW_PASSWORD),
        };
        assert_eq!(won.status, 200, "{won:?}");
        assert_wrong_token(&lost);
        racer.assert_dead(&session);
        assert_eq!(sub(&racer.sign_in(email, password)), sub(&session));
    });
}
