//! Passwords and certificates in files that are replaced while the server runs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::support::{
    Certificates, LoneSentinel, RedisServer, SECRETS, SERVICE, TestApp, assert_says, assert_serves, free_port, refused,
    wait_until, wait_until_ready,
};

/// A Redis whose user `server` has passwords, and files for the settings.
struct Scene {
    redis: RedisServer,
    directory: TempDir,
}

impl Scene {
    fn start() -> Self {
        let redis = RedisServer::start(&[]);
        let () = redis.command(&["ACL", "SETUSER", "server", "on", ">first-planted", "~*", "+@all"]);
        let scene = Self { redis, directory: tempfile::tempdir().unwrap() };
        scene.write("password", "first-planted\n");
        scene
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    fn set_user(&self, rules: &[&str]) {
        let () = self.redis.command(&[&["ACL", "SETUSER", "server"], rules].concat());
    }

    /// Closes every connection of the user, so that the server has to connect again.
    fn disconnect(&self) {
        let closed: u64 = self.redis.command(&["CLIENT", "KILL", "USER", "server"]);
        assert!(closed > 0);
    }

    fn app(&self, settings: &[(&str, &str)]) -> TestApp {
        let file = self.path("password");
        let user = [("REDIS_USERNAME", "server"), ("REDIS_PASSWORD_FILE", file.to_str().unwrap())];
        TestApp::start_on(&self.redis.url(), &[&user, settings].concat())
    }
}

/// How many warnings have all of these words.
fn warnings(app: &TestApp, words: &[&str]) -> usize {
    let log = app.log();
    let texts = log.iter().filter(|line| line["level"] == "WARN").map(|line| line["message"].to_string());
    texts.filter(|text| words.iter().all(|word| text.contains(word))).count()
}

#[test]
fn a_replaced_password_needs_no_restart() {
    let scene = Scene::start();
    let app = scene.app(&[]);
    let session = app.new_session();
    for (old, new) in [("first-planted", "second-planted"), ("second-planted", "third-planted")] {
        scene.set_user(&[&format!(">{new}"), &format!("<{old}")]);
        scene.write("password", new);
        scene.disconnect();
        wait_until_ready(&app, &session);
    }
    assert_serves(&app);
    assert!(!app.output().contains("planted"), "{}", app.output());
}

/// The file may change before Redis knows the new password. Until then, the server uses the old one.
#[test]
fn a_new_password_that_redis_does_not_know_yet_is_tried_beside_the_old_one() {
    let scene = Scene::start();
    let app = scene.app(&[]);
    let session = app.new_session();
    scene.write("password", "second-planted");
    for _ in 0..3 {
        scene.disconnect();
        wait_until_ready(&app, &session);
    }
    assert_eq!(warnings(&app, &["new password", "does not work"]), 1, "{}", app.output());
    scene.set_user(&[">second-planted", "<first-planted"]);
    scene.disconnect();
    wait_until("the server uses the new password", || app.output().contains("use the new password"));
    wait_until_ready(&app, &session);
    assert!(!app.output().contains("planted"), "{}", app.output());
}

#[test]
fn a_file_that_is_missing_or_empty_for_a_moment_keeps_the_last_password_and_is_logged_once() {
    let scene = Scene::start();
    let app = scene.app(&[]);
    let session = app.new_session();
    for (fault, break_it) in [
        ("cannot be read now", (|path| fs::remove_file(path).unwrap()) as fn(&Path)),
        ("is empty now", |path| fs::write(path, "\n").unwrap()),
    ] {
        break_it(&scene.path("password"));
        for _ in 0..2 {
            scene.disconnect();
            wait_until_ready(&app, &session);
        }
        assert_eq!(warnings(&app, &["REDIS_PASSWORD_FILE", fault]), 1, "{}", app.output());
    }
    scene.set_user(&[">second-planted", "<first-planted"]);
    scene.write("password", "second-planted");
    scene.disconnect();
    wait_until_ready(&app, &session);
    assert_serves(&app);
}

#[test]
fn the_password_in_the_file_of_the_url_may_change_and_the_servers_may_not() {
    let scene = Scene::start();
    let url = |password: &str, port: u16| format!("redis://server:{password}@127.0.0.1:{port}\n");
    let port = scene.redis.port();
    scene.write("url", &url("first-planted", port));
    let file = scene.path("url");
    let settings = [&SECRETS[..], &[("REDIS_URL_FILE", file.to_str().unwrap())]].concat();
    let app = TestApp::start_in(tempfile::tempdir().unwrap().into(), &settings);
    let session = app.new_session();
    scene.write("url", &url("first-planted", free_port()));
    scene.disconnect();
    wait_until("the change is warned of", || warnings(&app, &["REDIS_URL_FILE", "other servers", "restart"]) > 0);
    wait_until_ready(&app, &session);
    scene.set_user(&[">second-planted", "<first-planted"]);
    scene.write("url", &url("second-planted", port));
    scene.disconnect();
    wait_until_ready(&app, &session);
    assert_serves(&app);
    assert!(!app.output().contains("planted"), "{}", app.output());
}

/// Writes that wait for replicas have connections of their own, which open and close later.
#[test]
fn waiting_writes_use_the_replaced_password_too() {
    let scene = Scene::start();
    let port = scene.redis.port().to_string();
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]);
    wait_until("the replica follows", || {
        replica.command::<String>(&["INFO", "replication"]).contains("master_link_status:up")
    });
    let app = scene.app(&[("REDIS_WAIT_REPLICAS", "1"), ("REDIS_WAIT_TIMEOUT_MS", "500")]);
    scene.set_user(&[">second-planted"]);
    scene.write("password", "second-planted");
    scene.set_user(&["<first-planted"]);
    // No waiting write has opened a connection yet, and the shared connections stay open.
    assert_serves(&app);
    assert_eq!(warnings(&app, &["Redis"]), 0, "{}", app.output());
}

#[test]
fn a_replaced_client_certificate_and_authority_need_no_restart() {
    let (old, new, port) = (Certificates::new(), Certificates::new(), free_port());
    let directory = tempfile::tempdir().unwrap();
    let place = |file: &str| directory.path().join(file).to_str().unwrap().to_owned();
    let copy = |from: &Certificates, file: &str| fs::copy(from.path(file), place(file)).map(drop).unwrap();
    for file in ["ca.pem", "client.pem", "client.key"] {
        copy(&old, file);
    }
    let files = [place("ca.pem"), place("client.pem"), place("client.key")];
    let settings =
        [("REDIS_TLS_CA_FILE", &*files[0]), ("REDIS_TLS_CERT_FILE", &*files[1]), ("REDIS_TLS_KEY_FILE", &*files[2])];
    let redis = old.start_redis(port);
    let app = TestApp::start_on(&format!("rediss://localhost:{port}"), &settings);
    let session = app.new_session();
    let disconnect = || {
        let closed: u64 = redis.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(closed > 0);
    };

    // A certificate without its key, and half of a certificate.
    copy(&new, "client.pem");
    disconnect();
    wait_until("the fault is warned of", || warnings(&app, &["certificate", "does not work"]) == 1);
    wait_until_ready(&app, &session);
    let whole = fs::read_to_string(old.path("ca.pem")).unwrap();
    copy(&old, "client.pem");
    fs::write(place("ca.pem"), &whole[..whole.len() / 2]).unwrap();
    disconnect();
    wait_until("the fault is warned of", || warnings(&app, &["certificate", "does not work"]) == 2);
    wait_until_ready(&app, &session);

    for file in ["ca.pem", "server.pem", "server.key"] {
        fs::copy(new.path(file), old.path(file)).unwrap();
    }
    // Redis reads all three files again.
    let () = redis.command(&["CONFIG", "SET", "tls-key-file", &old.path("server.key")]);
    for file in ["ca.pem", "client.pem", "client.key"] {
        copy(&new, file);
    }
    disconnect();
    wait_until_ready(&app, &session);
    assert_serves(&app);
}

#[test]
fn sentinels_have_credentials_of_their_own() {
    let scene = Scene::start();
    let () = scene.redis.command(&["CONFIG", "SET", "masterauth", ""]);
    let port = free_port();
    let users = ["user default off", "user watcher on >sentinel-planted allchannels +@all"];
    let _sentinel = LoneSentinel::start(port, scene.redis.port(), &users);
    wait_until("the Sentinel listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let url = format!("redis+sentinel://server:first-planted@127.0.0.1:{port}/{SERVICE}");
    scene.write("sentinel", "sentinel-planted");
    let (user, file) = (("REDIS_SENTINEL_USERNAME", "watcher"), scene.path("sentinel"));
    for password in
        [("REDIS_SENTINEL_PASSWORD", "sentinel-planted"), ("REDIS_SENTINEL_PASSWORD_FILE", file.to_str().unwrap())]
    {
        let app = TestApp::start_on(&url, &[user, password]);
        assert_serves(&app);
        assert!(!app.output().contains("planted"), "{}", app.output());
    }
    let said = refused(&[("REDIS_URL", &url), user, ("REDIS_SENTINEL_PASSWORD", "planted-and-wrong")]);
    assert_says(&said, &["REDIS_SENTINEL_PASSWORD"]);
    let said = refused(&[("REDIS_URL", &url)]);
    assert_says(&said, &["REDIS_SENTINEL_PASSWORD"]);
    let said = refused(&[("REDIS_URL", &scene.redis.url()), user]);
    assert_says(&said, &["REDIS_SENTINEL_USERNAME", "redis+sentinel://"]);
}
