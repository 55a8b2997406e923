//! Rules for the source files: where the server may use outside crates, and how long a file may be.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// All Rust files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let (directories, others): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = others.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.chain(directories.iter().flat_map(|directory| files(directory))).collect()
}

#[test]
fn outside_crates_stay_in_their_folders() {
    for (outside, folders) in [
        (&["axum", "hyper", "hyper_util", "http_body_util", "tower"][..], &["src/http/"][..]),
        (&["clap"], &["src/cli/", "src/config/"]),
    ] {
        for file in files(Path::new("src")) {
            if folders.iter().any(|folder| file.starts_with(folder)) {
                continue;
            }
            let source = fs::read_to_string(&file).unwrap();
            for name in outside {
                assert!(!source.contains(&format!("{name}::")), "{} uses {name}", file.display());
            }
        }
    }
}

#[test]
fn no_file_has_more_than_300_lines() {
    for directory in ["src", "crates", "tests", "benches"] {
        for file in files(Path::new(directory)) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= 300, "{} has {lines} lines", file.display());
        }
    }
}
