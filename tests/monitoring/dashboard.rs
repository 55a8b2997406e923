//! The dashboard: each query returns data, and the file can be imported.

use std::{collections::BTreeSet, fs, time::Duration};

use serde_json::{Value, json};

use crate::{
    prometheus::DIRECTORY,
    site::site_of,
    support::{MAILS, PASSWORD, RESOURCE_SERVERS, RedisServer, TestApp, alone, load::post, raw, wait_longer},
    traffic::Traffic,
};

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(format!("{DIRECTORY}/dashboard.json")).unwrap()).unwrap()
}

/// The title and the expression of each query.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().unwrap();
    let of_panel = |panel: &Value| -> Vec<_> {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        targets.iter().map(|target| (text(&panel["title"]), text(&target["expr"]))).collect()
    };
    panels.iter().flat_map(of_panel).collect()
}

/// Replaces the variables as Grafana does, with "All" for the replicas.
fn substitute(expression: &str) -> String {
    expression.replace("$job", "auth-service").replace("$instance", ".*").replace("$__rate_interval", "3m")
}

/// The names in an expression that begin with a prefix of this server's metrics.
fn names(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("auth_service_") || word.starts_with("process_")).map(str::to_owned).collect()
}

/// Causes faults for the panels that have no data without them.
fn cause_errors(redis: &mut RedisServer, apps: &[TestApp]) {
    let session = apps[0].new_session();
    let account = json!({"email": session.email, "password": PASSWORD});
    let flood = {
        let (port, account) = (apps[0].port(), account.clone());
        Traffic::of(40, Duration::ZERO, move |_| drop(post(port, "/authenticate", &account)))
    };
    wait_longer(30, "a password is refused", || post(apps[0].port(), "/authenticate", &account).unwrap().status == 503);
    drop(flood);
    redis.kill();
    wait_longer(30, "Redis is missed", || apps[0].current_user(&session.access_token).status == 503);
    redis.restart();
}

#[test]
fn every_query_returns_data_and_every_metric_exists() {
    let _turn = alone();
    let mut redis = RedisServer::start(&[]);
    let url = redis.url();
    let settings =
        [&MAILS[..], &[RESOURCE_SERVERS, ("REQUEST_TIMEOUT_SECONDS", "1"), ("ARGON2_MEMORY_KIB", "19456")]].concat();
    let (site, apps) = site_of(2, &settings, |settings| TestApp::start_on(&url, settings));
    cause_errors(&mut redis, &apps);
    let _traffic = Traffic::usual(&apps);
    // A rate needs a series that grows, and the first request with a code makes its series.
    let port = apps[0].port();
    let _refused = Traffic::of(1, Duration::from_millis(50), move |_| {
        let token = [("Authorization", "malformed")];
        let _ = raw::exchange(port, &raw::request("GET", "/user", &token, None));
    });
    let dashboard = dashboard();
    let mut queries = queries(&dashboard);
    assert!(queries.len() > 40, "{queries:?}");
    // A site without alerts has no series for the alerts.
    queries.retain(|(_, expression)| !expression.starts_with("sum by (alertname, alertstate) (ALERTS"));
    let has_data = |expression: &str| {
        let series = site.prometheus.query(&substitute(expression));
        let value = |series: &Value| series["value"][1].as_str().is_some_and(|value| value != "NaN");
        series.iter().any(value)
    };
    wait_longer(30, &format!("queries return data: {queries:?}"), || {
        queries.retain(|(_, expression)| !has_data(expression));
        queries.is_empty()
    });
    let rules = site.prometheus.rules();
    let expressions = rules.iter().map(|rule| rule["query"].as_str().unwrap().to_owned());
    let all = expressions.chain(self::queries(&dashboard).into_iter().map(|(_, expression)| expression));
    let used: BTreeSet<_> = all.flat_map(|expression| names(&expression)).collect();
    let missing: Vec<_> = used.difference(&site.prometheus.metrics()).cloned().collect();
    assert!(missing.is_empty(), "the servers have no metrics of these names: {missing:?}");
}

#[test]
fn the_dashboard_names_no_data_source_of_its_own() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!((&variables[0]["name"], &variables[0]["type"]), (&json!("datasource"), &json!("datasource")));
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels have the id {}", panel["id"]);
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        }
    }
}
