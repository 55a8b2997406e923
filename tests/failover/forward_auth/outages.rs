//! auth-service or Redis is away: a client gets 503 with `Retry-After`, never 200, and never 401.

use super::{Gateway, Site};
use crate::support::{signal, wait_longer, wait_until};

impl Site {
    /// Asserts that nobody passes, whatever the token, the method or the body, and that no answer is a 401.
    fn assert_nobody_passes(&self, of_strangers: u16) {
        self.for_each(|gateway| {
            for (method, body) in [("GET", None), ("POST", Some("{}")), ("OPTIONS", None)] {
                let answer = gateway.send(method, "/private?x=1", &self.token(), body);
                gateway.assert_refused(&answer, 503);
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
    wait_until("the port is closed", || crate::support::Connection::try_open(site.app.port()).is_err());
    site.assert_nobody_passes(503);
}
