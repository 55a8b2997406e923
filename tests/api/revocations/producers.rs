//! Everything that ends tokens is in the feed of every replica, by the epoch or the session of the tokens.

use rstest::rstest;

use crate::support::{
    PASSWORD, RESOURCE_SERVERS, Session,
    Store::{self, Embedded, Redis},
    TestApp, claims, replicas, text, wait_until,
};

impl TestApp {
    /// The ids in the feed of this replica.
    fn revoked(&self) -> Vec<String> {
        let answer = self.revocations("/revocations", &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        let revoked = answer.json()["revoked"].as_array().unwrap().clone();
        revoked.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }
}

fn claim(session: &Session, name: &str) -> String {
    claims(&session.access_token)[name].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_hear_of(replicas: &[TestApp], id: &str) {
    for app in replicas {
        wait_until("the replica hears of the end", || app.revoked().iter().any(|revoked| revoked == id));
    }
}

#[rstest]
fn an_end_of_all_tokens_is_heard_of_by_epoch(
    #[values(Redis, Embedded)] store: Store,
    #[values("removal", "sessions", "others", "password", "deletion")] by: &str,
) {
    let replicas = replicas(store, &[RESOURCE_SERVERS]);
    let app = &replicas[0];
    let (session, other) = (app.new_session(), app.new_session());
    let device = app.session_of(&session.email);
    let (token, email) = (session.access_token.as_str(), session.email.as_str());
    assert_eq!(claim(&session, "eid"), claim(&device, "eid"));
    let ended = match by {
        "removal" => app.remove_access_token(email),
        "sessions" => app.send_as(token, "DELETE", "/sessions", None),
        "others" => app.send_as(token, "DELETE", "/sessions?except=current", None),
        "password" => app.change_password(token, PASSWORD, "another password"),
        _ => app.delete_user(token, PASSWORD),
    };
    assert_eq!(ended.status, 200, "{ended:?}");
    assert_hear_of(&replicas, &claim(&session, "eid"));
    assert!(!replicas[0].revoked().contains(&claim(&other, "eid")));
    if ["others", "password"].contains(&by) {
        let kept = text(&ended, "access_token");
        assert_eq!(ended.header("access-token"), Some(kept.as_str()));
        assert_ne!(claims(&kept)["eid"], claims(token)["eid"]);
        assert_eq!(app.current_user(&kept).status, 200);
        let refreshed = text(&app.refresh_access_token(&session.refresh_token), "access_token");
        assert_eq!(claims(&refreshed)["eid"], claims(&kept)["eid"]);
    }
}

#[rstest]
fn the_end_of_a_session_is_heard_of_by_its_id(
    #[values(Redis, Embedded)] store: Store,
    #[values("sign-out", "end", "revocation", "limit", "reuse")] by: &str,
) {
    let settings = [
        RESOURCE_SERVERS,
        ("MAX_SESSIONS_PER_USER", "2"),
        ("REFRESH_TOKEN_ROTATION", "on"),
        ("REFRESH_GRACE_SECONDS", "0"),
    ];
    let replicas = replicas(store, &settings);
    let app = &replicas[0];
    let session = app.new_session();
    let other = app.session_of(&session.email);
    let token = session.access_token.as_str();
    match by {
        "sign-out" => assert_eq!(app.send_as(token, "POST", "/signout", None).status, 200),
        "end" => {
            let path = format!("/sessions/{}", session.id());
            assert_eq!(app.send_as(&other.access_token, "DELETE", &path, None).status, 200);
        }
        "revocation" => assert_eq!(app.revoke(token).status, 200),
        "limit" => drop(app.session_of(&session.email)),
        _ => {
            let next = text(&app.refresh_access_token(&session.refresh_token), "refresh_token");
            assert_eq!(app.refresh_access_token(&next).status, 200);
            app.refresh_access_token(&session.refresh_token).assert_error(401, "token_reused");
        }
    }
    assert_hear_of(&replicas, &session.id());
    let revoked = app.revoked();
    assert!(!revoked.contains(&other.id()) && !revoked.contains(&claim(&other, "eid")), "{revoked:?}");
}

#[test]
fn the_command_line_is_heard_of() {
    let replicas = replicas(Redis, &[RESOURCE_SERVERS]);
    let app = &replicas[0];
    for command in ["revoke", "end", "delete", "set-password"] {
        let session = app.new_session();
        let (email, id) = (session.email.as_str(), session.id());
        let output = match command {
            "revoke" => app.cli(&["tokens", "revoke", email]),
            "end" => app.cli(&["sessions", "end", email, &id]),
            "delete" => app.cli(&["user", "delete", email]),
            _ => app.cli_with_input(&["user", "set-password", email], "another password\n"),
        };
        assert!(output.status.success(), "{command}: {output:?}");
        let expected = if command == "end" { id } else { claim(&session, "eid") };
        assert_hear_of(&replicas, &expected);
    }
}
