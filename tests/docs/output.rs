//! Compares the output of a command with the page.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// Patterns for texts that differ from run to run, and the words that replace these texts on both sides.
const VARIABLE: [(&str, &str); 13] = [
    (r"eyJ[\w.-]+", "TOKEN"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\b1[78]\d{8}\b", "SECONDS"),
    (r"\b1[78]\d{11}-\d+-\d+\b", "CURSOR"),
    (r"\b[0-9a-f]{64}\b", "SHA256"),
    (r#"(?m)(^|[ "=:])[\w-]{43}($|["\n ])"#, "${1}SECRET$2"),
    (r#"(?m)(^|[ "=:])[\w-]{22}($|["\n ])"#, "${1}ID$2"),
    (r"#token=([a-z]+)_[\w.-]+", "#token=${1}_TOKEN"),
    (r"\b[A-Z2-7]{32}\b", "BASE32"),
    (r"\b[A-Z2-7]{4}(-[A-Z2-7]{4}){3}\b", "RECOVERY-CODE"),
    (r#""age_ms":\d+"#, "\"age_ms\":0"),
    (r"\bcurl/[\d.]+", "curl/VERSION"),
];

fn normalized(text: &str) -> String {
    static PATTERNS: LazyLock<Vec<(Regex, &str)>> =
        LazyLock::new(|| VARIABLE.iter().map(|(pattern, word)| (Regex::new(pattern).unwrap(), *word)).collect());
    let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    PATTERNS.iter().fold(text.trim().to_owned(), |text, (pattern, word)| pattern.replace_all(&text, *word).into_owned())
}

/// Compares two outputs. Blanks in JSON and the order of its fields do not matter.
pub(crate) fn same(printed: &str, expected: &str) -> bool {
    let (printed, expected) = (normalized(printed), normalized(expected));
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    printed == expected || json(&printed).is_some_and(|value| json(&expected) == Some(value))
}

#[test]
fn tokens_ids_and_times_may_differ_and_nothing_else() {
    let shown = r#"{"access_token":"eyJ0eXAiOi...","id":"6fe129f0-bb9d-4549-8835-14d0912932b0","n":60}"#;
    let printed = r#"{"access_token": "eyJhbGc.eyJz.s-_g", "id": "11111111-2222-4333-8444-555555555555", "n": 60}"#;
    assert!(same(printed, shown));
    assert!(!same(&printed.replace("60", "61"), shown));
    assert!(!same(&printed.replace("eyJhbGc", "x"), shown));
    assert!(same(
        "id rHc8m3ykT7LuDw6WOF0I4w at 2026-11-23T06:55:15Z",
        "id AAAAAAAAAAAAAAAAAAAAAA at 2027-01-01T00:00:00Z"
    ));
    assert!(!same("id short", "id AAAAAAAAAAAAAAAAAAAAAA"));
    assert!(!same("", "one line"));
}
