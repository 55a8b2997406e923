//! `SIGNING_KEY_FILE`: the operator's own keys.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use rstest::rstest;
use tempfile::TempDir;

use super::scene::{ES256, keys, published, signs_with};
use crate::support::{
    RedisServer,
    Store::{self, Embedded, Redis},
    TestApp, assert_says, program, refused, wait_until,
};

/// Runs `openssl` in a directory.
fn openssl(directory: &TempDir, arguments: &str) {
    let mut command = program("openssl");
    command.args(arguments.split(' ')).current_dir(directory.path());
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {output:?}");
}

/// A directory with a key, by the command that the messages name.
fn make(directory: &TempDir, name: &str) -> String {
    openssl(directory, &format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}"));
    fs::read_to_string(directory.path().join(name)).unwrap()
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[rstest]
fn the_first_key_of_the_file_signs_and_a_renewed_file_needs_no_restart(#[values(Redis, Embedded)] store: Store) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.pem");
    let [first, second] = ["first", "second"].map(|name| make(&directory, name));
    write(&path, &format!("{first}{second}"));
    let file = ("SIGNING_KEY_FILE", path.to_str().unwrap());
    let redis = RedisServer::start(&[]);
    let app = match store {
        Redis => TestApp::start_on(&redis.url(), &[ES256, file]),
        Embedded => TestApp::start_with(store, &[ES256, file]),
    };
    let session = app.new_session();
    let kids = published(&app);
    assert_eq!(kids.len(), 2);
    assert_eq!(signs_with(&app, &session.email), kids[0]);
    assert_eq!(redis.command::<u64>(&["EXISTS", "as:keys"]), 0, "the keys are in the file only");
    let (code, refused) = keys(&app, &["rotate"]);
    assert_eq!(code, 2, "{refused}");
    assert_says(refused["error"].as_str().unwrap(), &["SIGNING_KEY_FILE", "change this file"]);

    write(&path, &format!("{second}{first}"));
    wait_until("the second key signs", || signs_with(&app, &session.email) == kids[1]);
    session.assert_lives([&app]);
    // A file that is damaged or half written changes nothing. The log names each fault once.
    for bad in ["", &second[..100], &format!("{second}{second}")] {
        let warnings = || app.log().iter().filter(|line| line["level"] == "WARN").count();
        let before = warnings();
        write(&path, bad);
        wait_until("the log warns", || warnings() > before);
        session.assert_lives([&app]);
        assert_eq!(signs_with(&app, &session.email), kids[1]);
    }
    write(&path, &second);
    wait_until("the first key is gone", || published(&app) == kids[1..]);
    app.current_user(&session.access_token).assert_error(401, "invalid_token");
}

#[test]
fn files_without_usable_keys_are_refused_with_the_command_that_helps() {
    let directory = tempfile::tempdir().unwrap();
    let good = make(&directory, "good");
    openssl(&directory, "ecparam -name prime256v1 -genkey -noout -out sec1");
    openssl(&directory, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384");
    openssl(&directory, "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa");
    openssl(&directory, "genpkey -algorithm ED25519 -out ed25519");
    openssl(&directory, "pkey -in good -aes256 -passout pass:planted -out encrypted");
    openssl(&directory, "pkey -in good -pubout -out public");
    let path = |name: &str| directory.path().join(name);
    write(&path("empty"), "");
    write(&path("text"), "planted: no PEM");
    write(&path("twice"), &format!("{good}{good}"));
    write(&path("cut"), &good[..good.len() - 40]);
    fs::write(path("bytes"), [0xff, 0, 1, 2]).unwrap();
    let make = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";
    let convert = "openssl pkey -in OLD -out NEW";
    for (name, words) in [
        ("missing", &["cannot be read"][..]),
        ("sec1", &["SEC 1", convert]),
        ("p384", &["not one of P-256", make]),
        ("rsa", &["not one of P-256", make]),
        ("ed25519", &["not one of P-256", make]),
        ("encrypted", &["encrypted", "openssl pkey -in OLD -out NEW"]),
        ("public", &["no private key", make]),
        ("empty", &["no private key", make]),
        ("text", &["no private key", make]),
        ("bytes", &["no private key", make]),
        ("cut", &["PEM", make]),
        ("twice", &["twice"]),
    ] {
        let file = path(name);
        let said = refused(&[ES256, ("SIGNING_KEY_FILE", file.to_str().unwrap())]);
        assert_says(&said, &[&["SIGNING_KEY_FILE"], words].concat());
        assert_eq!(said.matches("SIGNING_KEY_FILE").count(), 1, "{said}");
    }
    // The commands of the messages make files that the server takes.
    openssl(&directory, "pkey -in sec1 -out converted");
    openssl(&directory, "pkey -in encrypted -passin pass:planted -out decrypted");
    for name in ["converted", "decrypted"] {
        let file = path(name);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let app = TestApp::start_with(Embedded, &[ES256, ("SIGNING_KEY_FILE", file.to_str().unwrap())]);
        app.new_session().assert_lives([&app]);
        assert_says(&app.output(), &["SIGNING_KEY_FILE names a file that other users can read"]);
    }
}
