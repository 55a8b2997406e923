//! Verifiers from PyPI. `.ci/libraries.sh verifiers` downloads them.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use rstest::rstest;

use crate::{
    scene::{AUDIENCE, ISSUER, Scene},
    support::{claims, program},
};

/// A file of this repository.
pub(crate) fn repository_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Python with the downloaded libraries.
pub(crate) fn python() -> std::process::Command {
    let libraries = repository_file("target/verifiers/libraries");
    assert!(libraries.is_dir(), "run .ci/libraries.sh verifiers first");
    let mut python = program("python3");
    python.env("PYTHONPATH", libraries).env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

/// What a library says about each token.
fn verdicts(library: &str, scene: &Scene, tokens: &[&str]) -> Vec<String> {
    let mut command = python();
    command.arg(repository_file("tests/verifiers/verify.py"));
    command.args([library, &scene.jwks_url(), ISSUER, AUDIENCE]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // All tokens fit into the buffer of the pipe.
    child.stdin.take().unwrap().write_all((tokens.join("\n") + "\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[rstest]
fn a_library_verifies_genuine_tokens_only(#[values("PyJWT", "Authlib", "joserfc")] library: &str) {
    let scene = Scene::start();
    let bad = scene.bad_tokens();
    let good = scene.app.new_session().access_token;
    let tokens: Vec<_> = [good.as_str()].into_iter().chain(bad.iter().map(|(_, token)| token.as_str())).collect();
    let said = verdicts(library, &scene, &tokens);
    assert_eq!(said.len(), tokens.len(), "{said:?}");
    let verified = |token: &str| format!("verified {}", claims(token)["sub"].as_str().unwrap());
    assert_eq!(said[0], verified(&good));
    for ((what, _), said) in bad.iter().zip(&said[1..]) {
        assert!(said.starts_with("refused "), "{what:?}: {said}");
    }
    let new = scene.rotate().access_token;
    assert_eq!(verdicts(library, &scene, &[&good, &new]), [verified(&good), verified(&new)]);
}
