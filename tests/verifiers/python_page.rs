//! The service in Python of `docs/resource-servers.md`, as printed.

use std::{
    fs,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use rstest::rstest;
use tempfile::TempDir;

use crate::{
    document,
    python::python,
    scene::{AUDIENCE, ES256, ISSUER},
    support::{
        Answer, Data, Process, RESOURCE_SERVERS,
        Store::{self, Embedded, Redis},
        TestApp, free_port, raw, wait_longer, wait_until,
    },
};

/// The secret of [`RESOURCE_SERVERS`].
const SECRET_OF_ORDERS: &str = "secret of orders";

/// The service, and the server that it asks.
struct Site {
    port: u16,
    _service: Process,
    _directory: TempDir,
}

impl Site {
    fn start(server: u16) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        fs::write(directory.path().join("orders.py"), document::block("python", "class Verifier")).unwrap();
        let mut command = python();
        command.arg("orders.py").current_dir(directory.path());
        command.env("AUTH_URL", format!("http://127.0.0.1:{server}")).env("AUTH_SECRET", SECRET_OF_ORDERS);
        command.env("ISSUER", ISSUER).env("AUDIENCE", AUDIENCE).env("PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { port, _service: Process::start(command), _directory: directory }
    }

    /// The answer to a request with this token. `None` while the service does not listen.
    fn ask(&self, token: &str) -> Option<Answer> {
        let headers = [("Authorization", format!("Bearer {token}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        raw::exchange(self.port, &raw::request("GET", "/orders", &headers, None))
    }

    fn status(&self, token: &str) -> u16 {
        self.ask(token).map_or(0, |answer| answer.status)
    }
}

#[rstest]
fn the_python_page_refuses_removed_tokens_and_fails_closed(#[values(Redis, Embedded)] store: Store) {
    let port = free_port().to_string();
    let long = [("PORT", port.as_str()), ("ACCESS_TOKEN_TTL_SECONDS", "600"), ("REFRESH_TOKEN_TTL_SECONDS", "600")];
    let settings = [&ES256[..], &[RESOURCE_SERVERS], &long].concat();
    let mut app: TestApp = Data::new(store).start(&settings);
    let site = Site::start(app.port());
    let (kept, removed, left) = (app.new_session(), app.new_session(), app.new_session());
    wait_longer(30, "the service accepts", || site.status(&kept.access_token) == 200);
    let served = site.ask(&kept.access_token).unwrap();
    let claims = crate::support::claims(&kept.access_token);
    assert_eq!(served.body, format!("orders of {}\n", claims["sub"].as_str().unwrap()));

    let refuses_within_the_bound = |token: &str, end: &dyn Fn() -> Answer| {
        wait_until("the service accepts", || site.status(token) == 200);
        assert_eq!(end().status, 200);
        // The bound is the subject of this test.
        sleep(Duration::from_secs(1));
        assert_ne!(site.status(token), 200, "the service accepts a token that ended a second ago");
        // On a busy machine, the answer may be 503 for a moment.
        wait_until("the service refuses", || site.status(token) == 401);
        let challenge = site.ask(token).unwrap();
        assert_eq!(challenge.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#), "{challenge:?}");
    };
    refuses_within_the_bound(&removed.access_token, &|| app.remove_access_token(&removed.email));
    refuses_within_the_bound(&left.access_token, &|| app.send_as(&left.access_token, "POST", "/signout", None));
    for bad in ["", "x", "é", "a.b.c", &format!("{}x", kept.access_token)] {
        wait_until("the service refuses", || site.status(bad) == 401);
    }

    app.kill();
    let start = Instant::now();
    wait_until("the service fails closed", || {
        let status = site.status(&kept.access_token);
        assert!([200, 503].contains(&status), "{status} {:?} after the server was killed", start.elapsed());
        status == 503
    });
    assert!(site.ask(&kept.access_token).unwrap().header("retry-after").is_some());
    let app = app.restart();
    wait_until("the service accepts again", || site.status(&kept.access_token) == 200);
    assert_eq!(site.status(&removed.access_token), 401);
    drop(app);
}
