//! The answer for all errors of an operation that have the same status. Everything here comes from the table of errors.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::components::Components;
use crate::http::problem_response::{Extra, Problem};

/// The errors of an operation, by their status.
pub(super) fn by_status(problems: Vec<Problem>) -> BTreeMap<StatusCode, Vec<Problem>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for problem in problems {
        groups.entry(problem.status).or_default().push(problem);
    }
    groups
}

/// The answer for errors of one status.
pub(super) fn failure(problems: &[Problem], components: &mut Components, has_content: bool) -> Value {
    let mut codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
    codes.sort_unstable();
    codes.dedup();
    components.add_codes(&codes);
    let list: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
    let mut value = json!({"description": list.join(", "), "headers": headers(problems, components)});
    if has_content {
        let codes = json!({"properties": {"code": {"enum": codes}}});
        let schema = json!({"allOf": [{"$ref": "#/components/schemas/Error"}, codes]});
        value["content"] = json!({"application/json": {"schema": schema, "examples": examples(problems)}});
    }
    value
}

/// One example for each error. Two errors may have the same code, and differ in their sentence.
fn examples(problems: &[Problem]) -> Map<String, Value> {
    let mut examples = Map::new();
    for problem in problems {
        let example = json!({"summary": problem.message, "value": problem.body()});
        let same = examples.keys().filter(|name: &&String| name.starts_with(problem.code)).count();
        let name = if same == 0 { problem.code.to_owned() } else { format!("{}_{}", problem.code, same + 1) };
        examples.insert(name, example);
    }
    examples
}

fn headers(problems: &[Problem], components: &Components) -> Map<String, Value> {
    let mut headers = components.headers();
    for problem in problems {
        let Some((name, _)) = problem.header.header() else { continue };
        let same = |other: &&Problem| other.header.header().is_some_and(|(header, _)| header == name);
        let same: Vec<_> = problems.iter().filter(same).collect();
        let mut header = header(&same);
        header["required"] = (same.len() == problems.len()).into();
        headers.insert(title_case(name.as_str()), header);
    }
    headers
}

/// The header that these errors have.
fn header(problems: &[&Problem]) -> Value {
    let values = problems.iter().filter_map(|problem| problem.header.header());
    let mut values: Vec<_> = values.filter_map(|(_, value)| value.to_str().ok().map(str::to_owned)).collect();
    values.sort_unstable();
    values.dedup();
    match problems[0].header {
        Extra::RetryAfter(seconds) => json!({
            "description": "Try again after this many seconds.",
            "schema": {"type": "integer", "minimum": 1},
            "example": seconds,
        }),
        Extra::Allow(_) => json!({
            "description": "The methods of the path.",
            "schema": {"type": "string"},
            "example": values[0],
        }),
        _ => json!({"schema": {"type": "string", "enum": values}}),
    }
}

/// `WWW-Authenticate` keeps its usual spelling. The names of headers have no case.
fn title_case(name: &str) -> String {
    let title = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    let words: Vec<_> =
        name.split('-').map(|word| if word == "www" { "WWW".to_owned() } else { title(word) }).collect();
    words.join("-")
}
