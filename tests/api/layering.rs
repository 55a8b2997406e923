//! Imports go downwards only, by the table in `src/lib.rs`, and each outside crate is used in one place.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::suite;

suite! {
    plain: [
        no_module_imports_upwards_and_no_crate_is_used_out_of_place,
        every_module_is_in_the_table,
        a_violation_is_found_however_it_is_written,
        what_is_allowed_is_not_reported,
    ]
}

/// Within one layer nobody imports another, but for these.
const SIDEWAYS: &[(&str, &str)] = &[("config", "secret")];
/// Downwards, and yet not allowed.
const FORBIDDEN: &[(&str, &str)] = &[("http", "store")];
/// Outside crates, and the files or folders that may name them.
const PLACES: &[(&str, &str)] = &[
    ("axum", "http/"),
    ("hyper", "http/"),
    ("hyper_util", "http/"),
    ("http_body_util", "http/"),
    ("tower", "http/"),
    ("clap", "cli/"),
    ("redis", "store/redis/"),
    ("deadpool_redis", "store/redis/"),
    ("redb", "store/embedded/"),
    ("jsonwebtoken", "token.rs"),
    ("argon2", "password.rs"),
];

fn source_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file: its path below `src`, and its text.
fn sources() -> Vec<(String, String)> {
    let root = source_directory();
    let mut found = Vec::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// The layers of the table in `lib.rs`, from the top: the names between [` and `] in each row's second column.
fn layers() -> Vec<Vec<String>> {
    let lib = fs::read_to_string(source_directory().join("lib.rs")).unwrap();
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! |")).map(|row| row.split('|').nth(1).unwrap());
    let names = rows.map(|cell| {
        cell.split("[`").skip(1).map(|rest| rest.split('`').next().unwrap().to_owned()).collect::<Vec<_>>()
    });
    names.filter(|names| !names.is_empty()).collect()
}

/// Words, `::`, and single signs; no comments, texts or lifetimes.
fn tokens(source: &str) -> Vec<String> {
    let characters: Vec<char> = source.chars().collect();
    let at = |i: usize| characters.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut tokens, mut i) = (Vec::new(), 0);
    while i < characters.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => i += characters[i..].iter().take_while(|c| **c != '\n').count(),
            ('/', '*') => {
                i += 2 + (i + 2..).take_while(|&j| j < characters.len() && (at(j), at(j + 1)) != ('*', '/')).count() + 2
            }
            ('r', '"' | '#') if i == 0 || !is_word(at(i - 1)) => {
                let hashes = characters[i + 1..].iter().take_while(|c| **c == '#').count();
                i += 1 + hashes;
                if at(i) == '"' {
                    i += 1;
                    while i < characters.len() && !(at(i) == '"' && (1..=hashes).all(|n| at(i + n) == '#')) {
                        i += 1;
                    }
                    i += 1 + hashes;
                }
            }
            ('"', _) => {
                i += 1;
                while i < characters.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            ('\'', '\\') => i += 3 + characters[i + 3..].iter().take_while(|c| **c != '\'').count() + 1,
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            (':', ':') => {
                tokens.push("::".to_owned());
                i += 2;
            }
            (c, _) if is_word(c) => {
                let word: String = characters[i..].iter().take_while(|c| is_word(**c)).collect();
                i += word.chars().count();
                tokens.push(word);
            }
            (c, _) => {
                if !c.is_whitespace() {
                    tokens.push(c.to_string());
                }
                i += 1;
            }
        }
    }
    tokens
}

fn is_name(token: &str) -> bool {
    token == "*" || token.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Reads the path that starts at `tokens[i]`, with its groups; adds each whole path, and returns where it ends.
fn read_path(tokens: &[String], mut i: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(i).map(String::as_str) {
            Some("{") => {
                i += 1;
                while i < tokens.len() && tokens[i] != "}" {
                    if tokens[i] == "," {
                        i += 1;
                    } else {
                        i = read_path(tokens, i, &path, paths);
                    }
                }
                return i + 1;
            }
            Some(name) if is_name(name) => {
                path.push(name.to_owned());
                i += 1;
            }
            _ => i += 1,
        }
        if tokens.get(i).is_none_or(|token| token != "::") {
            paths.push(path);
            // A rename is part of a group's entry.
            return if tokens.get(i).is_some_and(|token| token == "as") { i + 2 } else { i };
        }
        i += 1;
    }
}

/// The module that a file is.
fn module_of(file: &str) -> Vec<String> {
    let mut module: Vec<_> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// All paths in a file: from the crate's root for those of ours, with the outside crate first for others.
fn paths(file: &str, source: &str) -> (Vec<Vec<String>>, Vec<String>) {
    let tokens = tokens(source);
    let token = |i: usize| tokens.get(i).map_or("", String::as_str);
    let mut module = module_of(file);
    // Where inline modules end: the depth of braces outside of each.
    let (mut inline, mut depth, mut i) = (Vec::new(), 0_usize, 0);
    let (mut ours, mut outside) = (Vec::new(), Vec::new());
    let own: Vec<_> = (0..tokens.len()).filter(|&i| token(i) == "mod").map(|i| token(i + 1).to_owned()).collect();
    while i < tokens.len() {
        // A leading `::`, as in `use ::name`, begins a path.
        let before = if i > 1 { token(i - 2) } else { "" };
        let follows_path = i > 1 && token(i - 1) == "::" && before != "use" && (before == ">" || is_name(before));
        match token(i) {
            "mod" if token(i + 2) == "{" => {
                module.push(token(i + 1).to_owned());
                inline.push(depth);
                depth += 1;
                i += 3;
            }
            "{" => {
                depth += 1;
                i += 1;
            }
            "}" => {
                depth -= 1;
                if inline.last() == Some(&depth) {
                    inline.pop();
                    module.pop();
                }
                i += 1;
            }
            "crate" | "super" | "self" | "auth_service" if token(i + 1) == "::" && !follows_path => {
                let mut found = Vec::new();
                i = read_path(&tokens, i, &[], &mut found);
                ours.extend(found.into_iter().map(|path| resolve(&module, &path)));
            }
            name => {
                let is_crate = PLACES.iter().any(|(outside, _)| *outside == name) && !own.iter().any(|own| own == name);
                if is_crate && !follows_path && (token(i + 1) == "::" || token(i.wrapping_sub(1)) == "use") {
                    outside.push(name.to_owned());
                }
                i += 1;
            }
        }
    }
    (ours, outside)
}

fn resolve(module: &[String], path: &[String]) -> Vec<String> {
    let mut resolved = module.to_vec();
    for name in path {
        match name.as_str() {
            "crate" | "auth_service" => resolved.clear(),
            "super" => drop(resolved.pop()),
            "self" => {}
            name => resolved.push(name.to_owned()),
        }
    }
    resolved
}

/// What is wrong with the imports of one file.
fn violations(file: &str, source: &str) -> Vec<String> {
    let layers = layers();
    let layer = |name: &str| layers.iter().position(|layer| layer.iter().any(|module| module == name));
    let (ours, outside) = paths(file, source);
    let mut wrong = Vec::new();
    let own = module_of(file).first().cloned();
    for path in ours {
        let (Some(from), Some(to)) = (own.as_deref(), path.first()) else { continue };
        let pair = (from, to.as_str());
        let fine = match (layer(from), layer(to)) {
            _ if from == to => true,
            _ if FORBIDDEN.contains(&pair) => false,
            (Some(from), Some(to)) => from < to || (from == to && SIDEWAYS.contains(&pair)),
            // Of the crate's root, or all of it.
            _ => false,
        };
        if !fine {
            wrong.push(format!("{file} imports {}", path.join("::")));
        }
    }
    for name in outside {
        let place = PLACES.iter().find(|(outside, _)| *outside == name).map_or("", |(_, place)| place);
        if !file.starts_with(place) {
            wrong.push(format!("{file} uses the crate {name}, which belongs in {place}"));
        }
    }
    wrong
}

fn no_module_imports_upwards_and_no_crate_is_used_out_of_place() {
    let wrong: Vec<_> = sources().iter().flat_map(|(file, source)| violations(file, source)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn every_module_is_in_the_table() {
    let mut listed = layers().concat();
    let mut there: Vec<_> = sources().iter().filter_map(|(file, _)| module_of(file).first().cloned()).collect();
    listed.sort();
    there.sort();
    there.dedup();
    assert_eq!(listed, there, "the table in src/lib.rs, and the modules in src");
    assert_eq!(layers().len(), 5);
    // The parser sees what is there: a driver in its place, and a layer that imports from the one below.
    let (ours, outside) = sources().iter().map(|(file, source)| paths(file, source)).fold(
        (Vec::new(), Vec::new()),
        |(mut ours, mut outside), found| {
            ours.extend(found.0);
            outside.extend(found.1);
            (ours, outside)
        },
    );
    for (name, _) in PLACES.iter().filter(|(name, _)| *name != "tower") {
        assert!(outside.iter().any(|outside| outside == name), "{name} is used nowhere");
    }
    assert!(ours.contains(&["store", "Store"].map(str::to_owned).to_vec()));
}

fn a_violation_is_found_however_it_is_written() {
    for (file, source) in [
        ("auth.rs", "use crate::http::App;"),
        ("auth.rs", "use crate::{error::Error, http::{self, App}};"),
        ("auth.rs", "use super::http::App;"),
        ("auth.rs", "use crate::{\n    error::Error,\n    cli,\n};"),
        ("auth.rs", "fn f() -> crate::http::App { todo() }"),
        ("auth.rs", "use crate::*;"),
        ("store/redis/mod.rs", "use super::super::auth::Auth;"),
        ("store/redis/mod.rs", "use {std::fmt, crate::{id::Id as I, auth::Auth}};"),
        ("store/mod.rs", "mod tests { use super::super::token::Tokens; }"),
        ("token.rs", "mod tests { use super::*; } use super::store::Store;"),
        ("token.rs", "use crate::password::Password;"),
        ("user.rs", "use crate::session::Lifetimes;"),
        ("error.rs", "use crate::id::Id;"),
        ("http/tokens.rs", "use crate::store::Store;"),
        ("http/tokens.rs", "use crate::{auth::Auth, store::{Store, Backend}};"),
        ("http/mod.rs", "use crate::cli::FAILED;"),
        ("cli/mod.rs", "use crate::http;"),
        ("auth.rs", "use axum::Router;"),
        ("cli/mod.rs", "use ::hyper::body;"),
        ("main.rs", "use axum as web;"),
        ("main.rs", "use {std::fmt, tower::Layer};"),
        ("http/mod.rs", "let client = redis::Client::open(url);"),
        ("store/mod.rs", "use deadpool_redis::Pool;"),
        ("store/redis/link.rs", "use redb::Database;"),
        ("config.rs", "use clap::Arg;"),
        ("auth.rs", "use jsonwebtoken::{encode, Header};"),
        ("user.rs", "use argon2;"),
    ] {
        assert!(!violations(file, source).is_empty(), "not found in {file}: {source}");
    }
}

fn what_is_allowed_is_not_reported() {
    for (file, source) in [
        ("auth.rs", "use crate::{error::Error, store::Store, user::{Email, User}};"),
        ("config.rs", "use crate::secret::{Secret, Secrets};"),
        ("main.rs", "use auth_service::{http::{self, App}, store::Backend};"),
        ("store/mod.rs", "mod redis; fn f(x: redis::Backend) {}"),
        ("store/redis/mod.rs", "use super::{OpenError, encode_user}; use self::link::Link; use redis::cmd;"),
        ("id.rs", "mod tests { use super::*; }"),
        ("http/tokens.rs", "use super::{AppState, error::Problem}; use axum::extract::State;"),
        (
            "auth.rs",
            "// crate::http::App\n/* axum::A */ const T: &str = \"crate::http redis::cmd\"; let r = r#\"clap::\"#;",
        ),
        ("auth.rs", "fn f<'a>(x: &'a str, c: char) -> bool { c == '\"' || c == '\\'' } // use crate::http"),
        ("auth.rs", "let x = other::redis::thing; let axum = 1;"),
    ] {
        assert_eq!(violations(file, source), Vec::<String>::new(), "{source}");
    }
}
