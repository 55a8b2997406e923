//! The README and `.env.example` keep up with the code.

use std::{collections::BTreeMap, fs};

use auth_service::config::SETTINGS;

use crate::{app::command, suite};

suite! {
    plain: [
        readme_lists_every_setting_with_its_default,
        readme_lists_every_route,
        readme_lists_every_error_code,
        env_example_shows_every_setting,
        env_example_is_valid_but_for_its_sample_secrets,
        compose_passes_every_setting_on,
        guarantees_name_tests_that_exist,
    ]
}

/// A file of the project; cargo runs tests in its top directory.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap()
}

/// Asserts that each of `rows` starts a row of a table.
fn assert_rows(readme: &str, rows: impl IntoIterator<Item = String>) {
    let missing: Vec<_> = rows.into_iter().filter(|row| !readme.lines().any(|line| line.starts_with(row))).collect();
    assert!(missing.is_empty(), "README.md has no line that starts with: {missing:#?}");
}

fn readme_lists_every_setting_with_its_default() {
    assert_rows(&read("README.md"), SETTINGS.iter().map(|s| format!("| `{}` | {} |", s.name, s.default)));
}

fn readme_lists_every_route() {
    let router = read("src/http/mod.rs");
    let literals = router.split('"').skip(1).step_by(2);
    let routes: Vec<_> = literals.filter(|literal| literal.starts_with('/')).collect();
    assert!(["/signup", "/sessions/{id}", "/readyz"].iter().all(|route| routes.contains(route)), "{routes:?}");
    let readme = read("README.md");
    let table: Vec<_> = readme.lines().filter(|line| line.starts_with("| `")).collect();
    let missing: Vec<_> =
        routes.iter().filter(|route| !table.iter().any(|row| row.contains(&format!(" {route}` |")))).collect();
    assert!(missing.is_empty(), "README.md has no row for: {missing:?}");
}

fn readme_lists_every_error_code() {
    // A code is a literal of small letters and underscores; nothing else in these two files is.
    let sources = [read("src/http/error.rs"), read("src/error.rs")];
    let literals = sources.iter().flat_map(|source| source.split('"'));
    let is_code = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let codes: Vec<_> = literals.filter(is_code).collect();
    assert!(codes.contains(&"email_taken") && codes.contains(&"store_timeout"), "{codes:?}");
    assert_rows(&read("README.md"), codes.iter().map(|code| format!("| `{code}` | ")));
}

/// The settings that `.env.example` would make if none were commented out.
fn example() -> BTreeMap<String, String> {
    let text = read(".env.example");
    let lines = text.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    lines.filter(|(name, _)| !name.contains(' ')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn env_example_shows_every_setting() {
    let example = example();
    let missing: Vec<_> = SETTINGS.iter().map(|s| s.name).filter(|name| !example.contains_key(*name)).collect();
    assert!(missing.is_empty(), ".env.example does not show: {missing:?}");
    for setting in SETTINGS.iter().filter(|setting| setting.default.bytes().all(|b| b.is_ascii_digit())) {
        assert_eq!(example[setting.name], setting.default, "{}", setting.name);
    }
}

fn env_example_is_valid_but_for_its_sample_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let text: String = example().iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    fs::write(directory.path().join(".env"), text).unwrap();
    // Were the samples accepted, the server would go on to listen and never end, but for this.
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

/// What a line of `.env` says must reach the replicas, or a change would be thought made that is not.
fn compose_passes_every_setting_on() {
    let compose = read("docker-compose.yml");
    // The container's own address, and the store that Compose brings along.
    let fixed = ["HOST", "PORT", "DATA_DIR", "REDIS_URL", "REDIS_USERNAME", "REDIS_PASSWORD"];
    let own = |name: &str| fixed.contains(&name) || name.starts_with("REDIS_TLS_") || name.ends_with("_SECRET_KEY");
    let names = SETTINGS.iter().map(|setting| setting.name).filter(|name| !own(name));
    let missing: Vec<_> = names.filter(|name| !compose.contains(&format!("      {name}: ${{{name}:-"))).collect();
    assert!(missing.is_empty(), "docker-compose.yml does not pass on: {missing:?}");
}

fn guarantees_name_tests_that_exist() {
    let page = read("docs/guarantees.md");
    let words: Vec<_> = page.split('`').skip(1).step_by(2).collect();
    let named = words.iter().filter_map(|word| word.split_once("::")).filter(|(_, test)| !test.is_empty());
    // A column may name its file once, at the top.
    let bare = words.iter().filter(|word| word.starts_with("sentinel") || word.starts_with("cluster_"));
    let tests: Vec<_> = named.chain(bare.map(|&test| ("topologies", test))).collect();
    assert!(tests.len() > 25, "{tests:?}");
    for (file, test) in tests {
        let source = read(&format!("tests/api/{file}.rs"));
        assert!(source.contains(&format!("fn {test}(")), "docs/guarantees.md names {file}::{test}, which there is not");
    }
}
