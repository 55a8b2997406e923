//! The contract of the store for entries that wait for a confirmation.

use auth_service_records::{
    session::Outcome,
    user::{Totp, User},
};
use auth_service_store::{Change, PendingKind, Spent};
use auth_service_token::Id;
use rstest::rstest;

use super::scene::{LONG, Scene, session, user};
use crate::support::{
    Store::{self as On, Embedded, Redis},
    wait_until,
};

const KINDS: [PendingKind; 4] =
    [PendingKind::PasswordReset, PendingKind::EmailVerification, PendingKind::EmailChange, PendingKind::Totp];

impl Scene {
    fn put(&self, kind: PendingKind, value: &[u8], seconds: u64) {
        self.run(async |store| store.put_pending(self.tag, kind, value, seconds).await);
    }

    fn pending(&self, kind: PendingKind) -> Option<Vec<u8>> {
        self.run(async |store| store.find_pending(self.tag, kind).await)
    }

    /// Writes an entry of each kind. Its value is the name of the kind.
    fn put_all(&self) {
        for kind in KINDS {
            self.put(kind, format!("{kind:?}").as_bytes(), 60);
        }
    }

    fn kinds(&self) -> Vec<PendingKind> {
        KINDS.into_iter().filter(|kind| self.pending(*kind).is_some()).collect()
    }
}

#[rstest]
fn an_entry_replaces_the_one_before_and_expires(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    scene.put_all();
    for kind in KINDS {
        assert_eq!(scene.pending(kind), Some(format!("{kind:?}").into_bytes()), "there is no account");
    }
    scene.put(PendingKind::Totp, b"another", 1);
    assert_eq!(scene.pending(PendingKind::Totp).as_deref(), Some(&b"another"[..]));
    wait_until("the entry expires", || scene.pending(PendingKind::Totp).is_none());
    assert_eq!(scene.kinds(), KINDS[..3]);
}

#[rstest]
fn an_update_spends_an_entry_once_and_ends_no_session(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let sid = scene.sign_in();
    let stored = scene.find().unwrap();
    let kind = PendingKind::EmailVerification;
    scene.put_all();
    let verified = User { email_verified_at: Some(5), ..stored.user.clone() };
    let update = |expected: &_, user: &User, spent: Option<Spent<'_>>| {
        scene.run(async |store| store.update_user(scene.tag, expected, user, spent).await)
    };
    let wrong = Spent { kind, value: b"wrong" };
    let right = Spent { kind, value: b"EmailVerification" };
    assert_eq!(update(&stored, &verified, Some(wrong)), Outcome::NotThere);
    assert_eq!(scene.kinds(), KINDS);
    assert_eq!(update(&stored, &verified, Some(right)), Outcome::Done);
    assert_eq!(update(&stored, &verified, Some(right)), Outcome::NotThere, "the account has changed");
    let found = scene.find().unwrap();
    assert_eq!(update(&found, &verified, Some(right)), Outcome::NotThere, "the entry is spent");
    assert_eq!(found.user.email_verified_at, Some(5));
    let shown = || {
        let access = scene.run(async |store| store.check_access(scene.tag, sid).await).unwrap();
        (access.email_verified, access.totp_enabled)
    };
    assert_eq!(shown(), (true, false), "the session goes on, and shows the change");
    assert_eq!(scene.kinds(), [PendingKind::PasswordReset, PendingKind::EmailChange, PendingKind::Totp]);
    // The second factor needs no entry, and leaves the rest of the profile alone.
    let totp = Totp { secret: "sealed".to_owned(), confirmed_at: 1, last_step: 9, recovery_codes: vec![scene.tag] };
    let enrolled = User { totp: Some(totp.clone()), ..found.user.clone() };
    assert_eq!(update(&found, &enrolled, None), Outcome::Done);
    let found = scene.find().unwrap();
    assert_eq!(found.user.totp, Some(totp));
    assert_eq!(shown(), (true, true));
    assert_eq!(update(&found, &User { email_verified_at: None, ..found.user.clone() }, None), Outcome::Done);
    assert_eq!(shown(), (false, true));
    let found = scene.find().unwrap();
    assert_eq!(update(&found, &User { totp: None, ..found.user.clone() }, None), Outcome::Done);
    assert_eq!(shown(), (false, false));
    assert!(scene.refresh(sid) && scene.remove());
    let gone = Id::random().unwrap();
    let outcome = scene.run(async |store| store.update_user(gone, &found, &found.user, None).await);
    assert_eq!(outcome, Outcome::NotThere);
}

#[rstest]
fn a_new_session_shows_whether_the_email_is_verified_and_there_is_a_second_factor(
    #[values(Redis, Embedded)] store: On,
) {
    let scene = Scene::new(store, LONG);
    let totp = Totp { secret: "sealed".to_owned(), confirmed_at: 1, last_step: 9, recovery_codes: Vec::new() };
    assert!(scene.create(&User { email_verified_at: Some(5), totp: Some(totp), ..user() }));
    let sid = scene.sign_in();
    let access = scene.run(async |store| store.check_access(scene.tag, sid).await).unwrap();
    assert!(access.email_verified && access.totp_enabled);
}

#[rstest]
fn a_new_password_ends_what_the_former_one_has_begun(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    let sid = scene.sign_in();
    let stored = scene.find().unwrap();
    scene.put_all();
    let changed = User { password_hash: "changed".to_owned(), ..stored.user.clone() };
    let change = Change { expected: &stored, user: &changed, known: None };
    let epoch = Id::random().unwrap();
    scene.run(async |store| store.keep_only(scene.tag, sid, epoch, None).await);
    assert_eq!(scene.kinds(), KINDS, "the end of the other sessions is no new password");
    let outcome = scene.run(async |store| store.keep_only(scene.tag, sid, epoch, Some(change)).await);
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(scene.kinds(), [PendingKind::EmailVerification]);

    scene.put_all();
    let stored = scene.find().unwrap();
    let reset = User { password_hash: "reset".to_owned(), ..stored.user.clone() };
    let replace = |value: &'static [u8]| {
        let spent = Spent { kind: PendingKind::PasswordReset, value };
        scene.run(async |store| store.replace_user(scene.tag, &stored, &reset, Some(spent)).await)
    };
    assert_eq!(replace(b"wrong"), Outcome::NotThere);
    assert!(scene.lives(sid) && scene.kinds() == KINDS);
    assert_eq!(replace(b"PasswordReset"), Outcome::Done);
    assert_eq!(replace(b"PasswordReset"), Outcome::NotThere);
    assert_eq!(scene.kinds(), [PendingKind::EmailVerification]);
    assert!(!scene.lives(sid));
}

#[rstest]
fn one_entry_is_spent_once_in_a_race(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    assert!(scene.create(&user()));
    let tag = scene.tag;
    for round in 0..30 {
        scene.put(PendingKind::PasswordReset, b"once", 60);
        let spent = scene.at_once(6, move |store, n| async move {
            let spent = Some(Spent { kind: PendingKind::PasswordReset, value: b"once" });
            let expected = store.find_user(tag).await?.unwrap();
            let user = User { password_hash: format!("{round}.{n}"), ..expected.user.clone() };
            let outcome = if n % 2 == 0 {
                store.replace_user(tag, &expected, &user, spent).await?
            } else {
                store.update_user(tag, &expected, &user, spent).await?
            };
            Ok(outcome == Outcome::Done)
        });
        assert_eq!(spent.iter().filter(|spent| **spent).count(), 1, "round {round}: {spent:?}");
        let winner = spent.iter().position(|spent| *spent).unwrap();
        assert_eq!(scene.find().unwrap().user.password_hash, format!("{round}.{winner}"));
    }
}

#[rstest]
fn a_deleted_account_takes_its_entries_with_it(#[values(Redis, Embedded)] store: On) {
    let scene = Scene::new(store, LONG);
    scene.sign_in();
    scene.put_all();
    scene.open_session(&scene.find().unwrap(), None, &session());
    assert!(scene.delete(&scene.find().unwrap()));
    assert_eq!(scene.kinds(), []);
}
