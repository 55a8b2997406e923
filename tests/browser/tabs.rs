//! Tabs that share a session by the JavaScript client in `clients/js`.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    balancer::balance,
    chromium::Chromium,
    pages::Pages,
    support::{PASSWORD, RedisServer, TestApp, free_port, unique_email, wait_longer},
};

/// A browser, and replicas behind a load balancer. Access tokens live for two seconds, and each refresh token works once.
struct Scene {
    pages: Pages,
    browser: Chromium,
    replicas: Vec<TestApp>,
    _redis: RedisServer,
    plan: Value,
}

impl Scene {
    fn start(replicas: usize) -> Self {
        let (pages, redis) = (Pages::start(), RedisServer::start(&[]));
        let origin = format!("http://localhost:{}", pages.port());
        let ports: Vec<_> = (0..replicas).map(|_| free_port()).collect();
        let start = |port: &u16| {
            let settings = [
                // A restarted replica has the same port.
                ("PORT", &*port.to_string()),
                ("CORS_ORIGINS", &origin),
                ("ACCESS_TOKEN_TTL_SECONDS", "2"),
                ("REFRESH_TOKEN_ROTATION", "on"),
                ("REFRESH_GRACE_SECONDS", "0"),
            ];
            TestApp::start_on(&redis.url(), &settings)
        };
        let replicas = ports.iter().map(start).collect();
        let api = format!("http://localhost:{}", balance(ports));
        let plan = json!({"api": api, "email": unique_email(), "password": PASSWORD, "phase": "work"});
        pages.set_plan(&plan);
        Self { pages, browser: Chromium::open("about:blank"), replicas, _redis: redis, plan }
    }

    /// Opens a tab that does something under this name.
    fn open(&self, name: &str, what: &str) {
        let url = format!("http://localhost:{}/tab?name={name}&do={what}", self.pages.port());
        self.browser.open_tab(&url);
    }

    /// The next report of a tab. Panics if the tab failed.
    fn report(&self) -> Value {
        let report = self.pages.report();
        assert_eq!(report["error"], Value::Null, "{report:#}");
        report
    }

    /// Signs in, in a tab of its own.
    fn sign_in(&self, more: &str) {
        self.open("first", &format!("sign-in{more}"));
        assert_eq!(self.report()["email"], self.plan["email"]);
    }

    /// Tells the tabs to stop, and returns their reports. Asserts that none of their requests failed.
    fn stop(&mut self, tabs: &[&str]) -> Vec<Value> {
        self.plan["phase"] = json!("stop");
        self.pages.set_plan(&self.plan);
        let reports: Vec<_> = tabs.iter().map(|_| self.report()).collect();
        let names: BTreeSet<_> = reports.iter().map(|report| report["name"].as_str().unwrap()).collect();
        assert_eq!(names, tabs.iter().copied().collect());
        for report in &reports {
            assert_eq!(report["failures"], json!([]), "{report:#}");
            assert!(report["requests"].as_u64().unwrap() > 0, "{report:#}");
        }
        reports
    }

    /// How many refreshes the servers made. Asserts that they refused none.
    fn refreshes(&self) -> usize {
        let lines = self.replicas.iter().flat_map(TestApp::request_log);
        let answers = lines.filter(|line| line["route"] == "/refresh-access-token" && line["method"] == "POST");
        let statuses: Vec<_> = answers.map(|line| line["status"].as_u64().unwrap()).collect();
        // A busy machine may cause a 503. The client then repeats the refresh.
        assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
        statuses.iter().filter(|status| **status == 200).count()
    }

    fn wait_for_refreshes(&self, more: usize) {
        let goal = self.refreshes() + more;
        wait_longer(120, "the tabs have refreshed", || self.refreshes() >= goal);
    }
}

/// The highest number of changes of a session that a tab has seen. The sign-in is the first change.
fn changes_of_the_session(reports: &[Value]) -> usize {
    let counts = reports.iter().map(|report| report["session"]["count"].as_u64().unwrap());
    usize::try_from(counts.max().unwrap()).unwrap()
}

#[rstest]
fn tabs_share_each_refresh(#[values("", "&without-web-locks")] more: &str) {
    let mut scene = Scene::start(1);
    scene.sign_in(more);
    let tabs = ["one", "two", "three", "four"];
    for tab in tabs {
        scene.open(tab, &format!("work{more}"));
        assert_eq!(scene.report()["at"], "work");
    }
    scene.wait_for_refreshes(6);
    let reports = scene.stop(&tabs);
    // A refresh that two tabs made would be two requests, and one change.
    assert_eq!(scene.refreshes(), changes_of_the_session(&reports) - 1, "{reports:#?}");
    for report in &reports {
        assert_eq!(report["changes"], json!([]), "{report:#}");
    }
}

#[test]
fn a_duplicated_tab_shares_the_session_of_its_session_storage() {
    let mut scene = Scene::start(1);
    scene.open("original", "duplicate&area=sessionStorage");
    for _ in 0..2 {
        assert_eq!(scene.report()["at"], "work");
    }
    scene.wait_for_refreshes(6);
    let reports = scene.stop(&["original", "copy"]);
    assert_eq!(scene.refreshes(), changes_of_the_session(&reports) - 1, "{reports:#?}");
}

#[test]
fn a_sign_out_in_one_tab_reaches_the_others() {
    let scene = Scene::start(1);
    scene.sign_in("");
    for tab in ["one", "two"] {
        scene.open(tab, "wait-for-the-end");
        assert_eq!(scene.report()["at"], "wait");
    }
    scene.open("last", "sign-out");
    let reports = [(); 3].map(|()| scene.report());
    for report in reports.iter().filter(|report| report["name"] != "last") {
        assert_eq!(report["changes"], json!(["signed-out"]), "{report:#}");
        assert_eq!((&report["signedIn"], &report["token"]), (&json!(false), &Value::Null), "{report:#}");
    }
    let stored = reports.iter().map(|report| report["session"].to_string());
    assert!(!stored.collect::<String>().contains("token"), "{reports:#?}");
}

#[rstest]
fn a_reload_keeps_the_session(#[values("localStorage", "sessionStorage")] area: &str) {
    let scene = Scene::start(1);
    scene.open("tab", &format!("reload&area={area}"));
    let report = scene.report();
    assert_eq!((&report["signedIn"], &report["email"]), (&json!(true), &scene.plan["email"]), "{report:#}");
}

#[test]
fn tabs_lose_no_session_while_three_replicas_restart() {
    let mut scene = Scene::start(3);
    scene.sign_in("");
    let tabs = ["one", "two", "three"];
    for tab in tabs {
        scene.open(tab, "work");
        assert_eq!(scene.report()["at"], "work");
    }
    for round in 0..2 {
        for _ in 0..3 {
            let mut replica = scene.replicas.remove(0);
            if round == 0 {
                replica.terminate();
                assert!(replica.wait().success());
            } else {
                replica.kill();
            }
            scene.replicas.push(replica.restart());
        }
    }
    scene.wait_for_refreshes(3);
    for report in scene.stop(&tabs) {
        assert_eq!(report["changes"], json!([]), "{report:#}");
    }
}
