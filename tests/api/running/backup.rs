//! Backups as docs/redis.md describes them: back up, destroy, restore, sign in.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use crate::support::{PASSWORD, RedisServer, Store, TestApp, program};

/// Makes an RDB file the base of an append-only file.
const MANIFEST: &str = "file appendonly.aof.1.base.rdb seq 1 type b\n";

#[test]
fn accounts_and_tokens_come_back_from_a_redis_backup() {
    let mut redis = RedisServer::start(&["--appendonly", "yes"]);
    let app = TestApp::start_on(&redis.url(), &[]);
    let session = app.new_session();
    let backup = tempfile::tempdir().unwrap();
    let file = backup.path().join("backup.rdb");
    let mut save = program("redis-cli");
    save.args(["-p", &redis.port().to_string(), "--rdb"]).arg(&file);
    assert!(save.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    let later = app.new_session();
    redis.kill();
    drop((redis, app));

    let append_only = backup.path().join("appendonlydir");
    fs::create_dir(&append_only).unwrap();
    // Redis 6.2 reads one append-only file instead of a directory.
    fs::copy(&file, backup.path().join("appendonly.aof")).unwrap();
    fs::rename(&file, append_only.join("appendonly.aof.1.base.rdb")).unwrap();
    fs::write(append_only.join("appendonly.aof.manifest"), MANIFEST).unwrap();
    let mut restored = RedisServer::start(&["--appendonly", "yes", "--dir", backup.path().to_str().unwrap()]);
    let app = TestApp::start_on(&restored.url(), &[]);
    assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200);
    assert_eq!(app.current_user(&session.access_token).status, 200);
    assert_eq!(app.authenticate(&later.email, PASSWORD).status, 401, "the account is newer than the backup");
    let new = app.new_session();
    // Redis must also persist the restored data.
    restored.kill();
    restored.restart();
    let app = TestApp::start_on(&restored.url(), &[]);
    for email in [session.email, new.email] {
        assert_eq!(app.authenticate(&email, PASSWORD).status, 200);
    }
}

#[test]
fn accounts_and_tokens_come_back_from_a_copy_of_the_data_directory() {
    let mut app = TestApp::start(Store::Embedded);
    let session = app.new_session();
    app.terminate();
    assert!(app.wait().success());
    let elsewhere = Arc::new(tempfile::tempdir().unwrap());
    copy(&app.data_directory(), elsewhere.path());
    fs::remove_dir_all(app.data_directory()).unwrap();
    drop(app);

    let app = TestApp::start_in(elsewhere, &[]);
    assert_eq!(app.authenticate(&session.email, PASSWORD).status, 200);
    // The signing secrets are in the directory, too.
    assert_eq!(app.current_user(&session.access_token).status, 200);
}

fn copy(directory: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([directory, to]).status().unwrap();
    assert!(status.success());
}
