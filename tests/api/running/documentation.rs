//! The documentation and `.env.example` must match the code.

use std::{collections::BTreeMap, fs, path::Path};

use auth_service::config::SETTINGS;

use crate::support::command;

/// Reads a file of the project. cargo runs tests in the top directory of the project.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap()
}

/// Asserts that each of `rows` starts a row of a table.
fn assert_rows(page: &str, rows: impl IntoIterator<Item = String>) {
    let text = read(page);
    let missing: Vec<_> = rows.into_iter().filter(|row| !text.lines().any(|line| line.starts_with(row))).collect();
    assert!(missing.is_empty(), "{page} has no line that starts with: {missing:#?}");
}

/// The texts in double quotes, without escaped quotes.
fn literals(source: &str) -> Vec<String> {
    source.replace("\\\"", "").split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn readme_lists_every_setting_with_its_default() {
    assert_rows("README.md", SETTINGS.iter().map(|s| format!("| `{}` | {} |", s.name, s.default)));
}

#[test]
fn the_api_page_lists_every_route() {
    let literals = literals(&read("src/http/mod.rs"));
    let routes: Vec<_> = literals.iter().filter(|literal| literal.starts_with('/')).collect();
    assert!(routes.len() >= 11, "{routes:?}");
    let page = read("docs/api.md");
    let table: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let missing: Vec<_> =
        routes.iter().filter(|route| !table.iter().any(|row| row.contains(&format!(" {route}` |")))).collect();
    assert!(missing.is_empty(), "docs/api.md has no row for: {missing:?}");
}

#[test]
fn the_api_page_lists_every_error_code() {
    // An error code is a literal of lowercase letters and underscores. `identity` has this form, too, but is an
    // encoding.
    let sources = [read("src/http/problem.rs"), read("crates/records/src/error.rs")];
    let is_code = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let literals = sources.iter().flat_map(|source| literals(source));
    let codes: Vec<_> = literals.filter(|text| is_code(text) && text != "identity").collect();
    assert!(["email_taken", "store_timeout"].iter().all(|code| codes.iter().any(|c| c == code)), "{codes:?}");
    assert_rows("docs/api.md", codes.iter().map(|code| format!("| `{code}` | ")));
}

#[test]
fn the_api_page_lists_every_error_of_the_shipped_load_balancer() {
    let configuration = read("deploy/haproxy/haproxy.cfg");
    let lines: Vec<_> = configuration.lines().filter(|line| line.trim().starts_with("http-error status")).collect();
    assert!(lines.len() >= 8, "{lines:?}");
    let codes = lines.iter().map(|line| {
        let (_, rest) = line.split_once(r#""code":""#).unwrap();
        format!("| `{}` | ", rest.split_once('"').unwrap().0)
    });
    assert_rows("docs/api.md", codes);
}

/// All settings of `.env.example`, including those that are commented out.
fn example() -> BTreeMap<String, String> {
    let text = read(".env.example");
    let lines = text.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    lines.filter(|(name, _)| !name.contains(' ')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn env_example_shows_every_setting() {
    let example = example();
    let missing: Vec<_> = SETTINGS.iter().map(|s| s.name).filter(|name| !example.contains_key(*name)).collect();
    assert!(missing.is_empty(), ".env.example does not show: {missing:?}");
    for setting in SETTINGS.iter().filter(|setting| setting.default.bytes().all(|b| b.is_ascii_digit())) {
        assert_eq!(example[setting.name], setting.default, "{}", setting.name);
    }
}

#[test]
fn env_example_is_valid_except_for_its_sample_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let text: String = example().iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    fs::write(directory.path().join(".env"), text).unwrap();
    // With this address the server ends, even if it wrongly accepts the sample secrets.
    let no_address = BTreeMap::from([("HOST".to_owned(), "no address".to_owned())]);
    let output = command(directory.path(), &no_address).output().unwrap();
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{printed}");
    let sample = "is a sample from documentation; make one with `auth-service secrets generate`";
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        [
            format!("auth-service: AUTH_SECRET_KEY {sample}"),
            format!("auth-service: REFRESH_SECRET_KEY {sample}"),
            "auth-service: see `auth-service --help` for all settings".to_owned(),
        ]
    );
}

/// Each setting in `.env` must reach the replicas.
#[test]
fn compose_passes_every_setting_on() {
    let compose = read("docker-compose.yml");
    // Compose sets the address of the container and the store.
    let fixed = ["HOST", "PORT", "DATA_DIR", "REDIS_URL", "REDIS_USERNAME", "REDIS_PASSWORD"];
    let store = |name: &str| ["REDIS_TLS_", "REDIS_SENTINEL_"].iter().any(|start| name.starts_with(start));
    let own = |name: &str| fixed.contains(&name) || store(name) || name.ends_with("_SECRET_KEY");
    let names = SETTINGS.iter().map(|setting| setting.name).filter(|name| !own(name));
    let missing: Vec<_> = names.filter(|name| !compose.contains(&format!("      {name}: ${{{name}:-"))).collect();
    assert!(missing.is_empty(), "docker-compose.yml does not pass on: {missing:?}");
}

/// The image builds the dependencies before it copies the crates, and cargo needs the manifest of every crate.
#[test]
fn the_image_copies_the_manifest_of_every_crate() {
    let image = read("Dockerfile");
    let crates: Vec<_> = fs::read_dir("crates").unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(crates.len() >= 8, "{crates:?}");
    let line = |path: &Path| format!("COPY {0}/Cargo.toml {0}/", path.display());
    let missing: Vec<_> = crates.iter().map(|path| line(path)).filter(|line| !image.contains(line)).collect();
    assert!(missing.is_empty(), "Dockerfile has no line: {missing:#?}");
}

/// The text of all files below a directory.
fn tests_below(directory: &Path) -> String {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { tests_below(&path) } else { fs::read_to_string(path).unwrap() }).collect()
}

#[test]
fn promises_name_tests_that_exist() {
    let source = tests_below(Path::new("tests"));
    for (page, at_least) in [("docs/guarantees.md", 25), ("SECURITY.md", 6)] {
        let text = read(page);
        let words: Vec<_> = text.split('`').skip(1).step_by(2).collect();
        let named = words.iter().filter_map(|word| word.rsplit_once("::")).map(|(_, test)| test);
        // A table may name a module only in the heading of a column. Its cells then hold bare names of tests.
        let bare = words.iter().copied().filter(|word| word.starts_with("sentinel_") || word.starts_with("cluster_"));
        let tests: Vec<_> = named.filter(|test| !test.is_empty()).chain(bare).collect();
        assert!(tests.len() >= at_least, "{page}: {tests:?}");
        for test in tests {
            assert!(source.contains(&format!("fn {test}(")), "{page} names {test}, but no such test exists");
        }
    }
}
