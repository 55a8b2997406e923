//! A server whose Redis fails.

use std::time::Instant;

use serde_json::json;

use crate::support::{
    Answer, PASSWORD, RedisServer, SECOND, Session, TestApp, every_worker, raw, unique_email, wait_until,
};

/// Without these arguments, a kill of Redis loses up to two seconds of acknowledged writes.
pub(super) const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

pub(super) const LOST: &[&str] = &["store_unreachable", "store_timeout"];

/// A server on its own Redis, with a session from before the failure.
pub(super) struct Scene {
    pub(super) redis: RedisServer,
    pub(super) app: TestApp,
    pub(super) session: Session,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    SignUp,
    Authenticate,
    CurrentUser,
    Refresh,
    Remove,
}

pub(super) const ALL: &[Route] =
    &[Route::SignUp, Route::Authenticate, Route::CurrentUser, Route::Refresh, Route::Remove];

impl Scene {
    pub(super) fn start(redis_arguments: &[&str]) -> Self {
        let redis = RedisServer::start(redis_arguments);
        let app = TestApp::start_on(&redis.url(), &[]);
        let session = app.new_session();
        Self { redis, app, session }
    }

    pub(super) fn call(&self, route: Route) -> Answer {
        let Session { email, access_token, refresh_token } = &self.session;
        match route {
            Route::SignUp => self.app.sign_up(&unique_email(), PASSWORD),
            Route::Authenticate => self.app.authenticate(email, PASSWORD),
            Route::CurrentUser => self.app.current_user(access_token),
            Route::Refresh => self.app.refresh_access_token(refresh_token),
            Route::Remove => self.app.remove_access_token(email),
        }
    }

    /// Asserts that each route in `away`, and `/readyz`, answers 503 with one of `codes` within a second, and that
    /// `/livez` is 200.
    pub(super) fn assert_away(&self, away: &[Route], codes: &[&str]) {
        self.assert_refused(away, codes, |ready| assert_away(ready, codes, "/readyz"));
    }

    /// Like [`Scene::assert_away`], but `/readyz` is 200 and says why writes fail, and a token check succeeds.
    pub(super) fn assert_reads_only(&self, writes: &[Route], code: &str) {
        self.assert_refused(writes, &[code], |ready| {
            let error = ready.json()["error"].as_str().unwrap().to_owned();
            ready.assert(200, &json!({"result": "Ready for reads only", "error": error, "code": code}));
            assert!(!error.is_empty());
        });
        assert_eq!(self.call(Route::CurrentUser).status, 200);
    }

    fn assert_refused(&self, away: &[Route], codes: &[&str], assert_ready: impl Fn(&Answer)) {
        for round in 0..3 {
            for &route in away {
                let answer = in_time(|| self.call(route));
                assert_away(&answer, codes, &format!("{route:?} in round {round}"));
            }
            assert_ready(&in_time(|| self.app.send("GET", "/readyz", &[], None)));
            in_time(|| self.app.send("GET", "/livez", &[], None)).assert(200, &json!({"result": "Alive"}));
        }
        self.assert_no_panic();
    }

    fn assert_no_panic(&self) {
        let output = self.app.output();
        assert!(!output.contains("panicked"), "{output}");
    }

    /// Asserts that every worker is ready within a second.
    pub(super) fn assert_back(&self) {
        let start = Instant::now();
        wait_until("every worker is ready", || self.every_worker("/readyz", |answer| answer.status == 200));
        let took = start.elapsed();
        assert!(took < SECOND, "back after {took:?}: {}", self.app.output());
        self.assert_no_panic();
    }

    /// Asserts that the server accepts the tokens from before the failure. Removes them at the end.
    pub(super) fn assert_session_goes_on(&self) {
        for (route, status) in [
            (Route::CurrentUser, 200),
            (Route::Refresh, 200),
            (Route::SignUp, 201),
            (Route::Authenticate, 200),
            (Route::Remove, 200),
            (Route::CurrentUser, 401),
        ] {
            let answer = self.call(route);
            assert_eq!(answer.status, status, "{route:?}: {answer:?}");
        }
    }

    /// Whether `holds` is true for the answer of every worker. Each worker has its own connection to Redis.
    pub(super) fn every_worker(&self, path: &str, holds: impl Fn(&Answer) -> bool) -> bool {
        every_worker(self.app.port(), &raw::request("GET", path, &[], None), holds)
    }

    pub(super) fn wait_until_every_worker_says(&self, codes: &[&str]) {
        wait_until("every worker notices the failure", || {
            self.every_worker("/readyz", |answer| {
                answer.status == 503 && answer.json()["code"].as_str().is_some_and(|code| codes.contains(&code))
            })
        });
    }
}

#[track_caller]
pub(super) fn assert_away(answer: &Answer, codes: &[&str], what: &str) {
    assert_eq!(answer.status, 503, "{what}: {answer:?}");
    let body = answer.json();
    let code = body["code"].as_str().unwrap();
    assert!(codes.contains(&code), "{what}: {code} is not one of {codes:?}");
    answer.assert_error(503, code);
}

#[track_caller]
pub(super) fn in_time(request: impl FnOnce() -> Answer) -> Answer {
    let start = Instant::now();
    let answer = request();
    let took = start.elapsed();
    assert!(took < SECOND, "{took:?} for {answer:?}");
    answer
}
