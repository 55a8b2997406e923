//! The formats of the metrics, and their names, which the documentation lists.

use std::{collections::BTreeSet, fs, io::Write, process::Stdio};

use crate::support::{MAILS, METRICS, RESOURCE_SERVERS, Store, TestApp, program, raw, scrape_at, wait_until};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The `Accept` header of Prometheus 2.42.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// A server that has all metrics: it has answered a request, and read the feed and the keys.
fn complete(store: Store) -> TestApp {
    let settings = [METRICS, RESOURCE_SERVERS, ("ACCESS_TOKEN_ALGORITHM", "ES256")];
    let app = TestApp::start_with(store, &[&settings[..], &MAILS].concat());
    app.new_session();
    wait_until("the feed is read", || app.metric("revocation_feed_age_seconds").is_some());
    app
}

/// The names, types and texts of `# TYPE` and `# HELP`.
fn described<'s>(scrape: &'s str, kind: &str) -> Vec<(&'s str, &'s str)> {
    let prefix = format!("# {kind} ");
    scrape.lines().filter_map(|line| line.strip_prefix(&prefix)?.split_once(' ')).collect()
}

#[test]
fn promtool_has_nothing_to_say() {
    for store in [Store::Redis, Store::Embedded] {
        let scrape = scrape_at(complete(store).metrics_port()).body;
        let mut promtool = program("promtool");
        promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = promtool.spawn().unwrap();
        child.stdin.take().unwrap().write_all(scrape.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{output:?}\n{scrape}"
        );
    }
}

#[test]
fn every_metric_has_a_type_and_a_help_text_in_both_formats() {
    let app = complete(Store::Embedded);
    let ask = |accept: &str| {
        raw::exchange(app.metrics_port(), &raw::request("GET", "/metrics", &[("Accept", accept)], None)).unwrap()
    };
    let open = ask(ACCEPT);
    assert_eq!((open.status, open.header("content-type")), (200, Some(OPEN_METRICS)));
    assert!(open.body.ends_with("\n# EOF\n"));
    for other in ["*/*", "text/plain", "text/html, */*;q=0.1"] {
        let text = ask(other);
        assert_eq!((text.status, text.header("content-type")), (200, Some(TEXT)));
        assert!(!text.body.contains("# EOF"));
    }
    let text = scrape_at(app.metrics_port());
    for scrape in [&open.body, &text.body] {
        let (types, helps) = (described(scrape, "TYPE"), described(scrape, "HELP"));
        let names =
            |described: &[(&str, &str)]| described.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&types), names(&helps));
        assert_eq!(types.len(), names(&types).into_iter().collect::<BTreeSet<_>>().len(), "each name comes once");
        assert!(helps.iter().all(|(_, help)| help.len() > 10 && help.ends_with('.')), "{helps:?}");
    }
    for (name, unit) in described(&open.body, "UNIT") {
        assert!(name.ends_with(&format!("_{unit}")), "{name} {unit}");
    }
}

#[test]
fn the_documentation_lists_every_metric_with_its_type_and_labels() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitoring.md")).unwrap();
    let (_, section) = page.split_once("\n## Metrics\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let documented: BTreeSet<_> = section
        .lines()
        .filter_map(|line| {
            let cells: Vec<_> = line.strip_prefix("| `")?.split(" | ").collect();
            Some((cells[0].trim_end_matches('`').to_owned(), cells[1].to_owned()))
        })
        .collect();
    let mut found = BTreeSet::new();
    for store in [Store::Redis, Store::Embedded] {
        let scrape = scrape_at(complete(store).metrics_port()).body;
        for (name, kind) in described(&scrape, "TYPE") {
            let sample = scrape.lines().find(|line| {
                line.starts_with(&format!("{name}{{")) || {
                    kind == "histogram" && line.starts_with(&format!("{name}_count{{"))
                }
            });
            let labels: Vec<_> = sample
                .and_then(|line| line.split_once('{')?.1.split_once('}'))
                .map(|(labels, _)| labels.split("\",").map(|label| label.split('=').next().unwrap()).collect())
                .unwrap_or_default();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            found.insert((format!("{}{labels}", name.trim_start_matches("auth_service_")), kind.to_owned()));
        }
    }
    assert_eq!(documented, found);
}
