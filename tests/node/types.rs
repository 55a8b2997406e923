//! The types of the JavaScript client, checked by the TypeScript compiler.

use std::{collections::BTreeSet, fs, path::Path, process::Stdio};

use crate::{
    CLIENT,
    support::{program, run_to_end},
};

/// The output of the compiler for this program, which imports the client.
fn compile(source: &str) -> (bool, String) {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("node_modules/auth-service-client");
    fs::create_dir_all(&package).unwrap();
    for file in ["package.json", "auth-service.d.ts"] {
        fs::copy(Path::new(CLIENT).join(file), package.join(file)).unwrap();
    }
    fs::write(directory.path().join("package.json"), r#"{"type": "module"}"#).unwrap();
    fs::write(directory.path().join("sample.ts"), source).unwrap();
    let mut command = program("tsc");
    command.args(["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022"]);
    command.args(["--module", "nodenext", "--lib", "es2022,dom", "sample.ts"]);
    command.current_dir(directory.path()).stdin(Stdio::null());
    let output = run_to_end(command);
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

/// Each line after `@ts-expect-error` is wrong. The compiler complains if it accepts the line.
#[test]
fn a_program_compiles_in_strict_mode_and_its_mistakes_do_not() {
    let (is_right, said) = compile(include_str!("sample.ts"));
    assert!(is_right, "{said}");
    let (is_right, said) = compile(&include_str!("sample.ts").replace("// @ts-expect-error", "//"));
    assert!(!is_right);
    assert_eq!(
        said.matches("error TS").count(),
        include_str!("sample.ts").matches("@ts-expect-error").count(),
        "{said}"
    );
}

/// `docs/api.md` lists the codes in tables whose first column is the code.
#[test]
fn the_types_name_every_code_of_the_documentation() {
    let types = fs::read_to_string(Path::new(CLIENT).join("auth-service.d.ts")).unwrap();
    let documentation = include_str!("../../docs/api.md");
    let (_, errors) = documentation.split_once("\n## Errors\n").unwrap();
    let codes: BTreeSet<_> =
        errors.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(code, _)| code).collect();
    assert!(codes.len() > 40, "{codes:?}");
    let missing: Vec<_> = codes.into_iter().filter(|code| !types.contains(&format!("\"{code}\""))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
