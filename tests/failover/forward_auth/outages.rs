//! auth-service or Redis is away: a client gets 503 with `Retry-After`, never 200, and never 401.

use super::{Gateway, Proxy, Site};
use crate::support::{Connection, signal, wait_longer, wait_until};

/// The code of a 503 while nobody can check tokens. Traefik's page is plain text.
fn code(proxy: Proxy, store_is_away: bool) -> &'static str {
    match proxy {
        Proxy::Traefik => "",
        Proxy::Envoy => "unavailable",
        Proxy::Caddy if store_is_away => "store_",
        Proxy::Nginx | Proxy::Caddy | Proxy::Haproxy => "not_checked",
    }
}

impl Site {
    /// Asserts that nobody passes, whatever the token, the method or the body, and that no answer is a 401.
    fn assert_nobody_passes(&self, of_strangers: u16) {
        self.for_each(|gateway| {
            for (method, body) in [("GET", None), ("POST", Some("{}")), ("OPTIONS", None)] {
                let answer = gateway.send(method, "/private?x=1", &self.token(), body);
                gateway.assert_refused(&answer, 503);
                let code = code(gateway.proxy, of_strangers == 401);
                assert!(answer.body.contains(code), "{:?} {answer:?}", gateway.proxy);
            }
            // Without a token, the store is not asked.
            gateway.assert_refused(&gateway.get("/private", &[]), of_strangers);
            gateway.arrived(&gateway.get("/public/x", &[]));
        });
    }

    fn wait_until_all_pass(&self) {
        let pass = |gateway: &Gateway| gateway.get("/private", &self.token()).status == 200;
        wait_longer(20, "all proxies pass the token again", || self.gateways.iter().all(pass));
    }
}

/// Nobody may take a lost application for a lost auth-service.
#[test]
fn an_application_that_gives_no_answer_is_no_outage_of_the_check() {
    let site = Site::start();
    site.for_each(|gateway| {
        let answer = gateway.get("/closes", &site.token());
        let expected = if gateway.proxy == Proxy::Envoy { 503 } else { 502 };
        assert_eq!(answer.status, expected, "{:?} {answer:?}", gateway.proxy);
        assert!(!answer.body.contains("not_checked"), "{:?} {answer:?}", gateway.proxy);
        gateway.assert_refused(&gateway.get("/closes", &[]), 401);
    });
}

#[test]
fn an_outage_is_503_behind_every_proxy() {
    let mut site = Site::start();
    site.wait_until_all_pass();
    site.redis.freeze();
    site.assert_nobody_passes(401);
    site.redis.thaw();
    site.wait_until_all_pass();
    site.redis.kill();
    site.assert_nobody_passes(401);
    site.redis.restart();
    site.wait_until_all_pass();

    // The kernel accepts connections for a frozen server, which then answers nothing.
    let pid = site.app.pid();
    signal(pid, "STOP");
    site.for_each(|gateway| gateway.assert_refused(&gateway.get("/private", &site.token()), 503));
    signal(pid, "CONT");
    site.wait_until_all_pass();

    site.app.kill();
    wait_until("the port is closed", || Connection::try_open(site.app.port()).is_err());
    site.assert_nobody_passes(503);
}
