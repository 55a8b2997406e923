//! The progress of a long command on a terminal.

use std::{fs, process::Stdio};

use tempfile::TempDir;

use super::{import_command::lines, printed::text};
use crate::support::{RedisServer, program};

/// Runs a command on a terminal, and prints all that the terminal shows.
const ON_A_TERMINAL: &str = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";

#[test]
fn a_terminal_shows_the_progress() {
    let redis = RedisServer::start(&[]);
    let (_directory, code, shown) = import_with(ON_A_TERMINAL, &redis);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("#") && shown.contains(" %, ") && shown.contains(" a second"), "{shown}");
    assert!(shown.contains("Accounts imported into Redis at ") && shown.contains(": 40000;"), "{shown}");
}

/// Runs a command on a terminal that is closed when it has shown something. The command ignores SIGHUP, as under
/// nohup, and prints its result to the file `result`.
const TERMINAL_IS_CLOSED: &str = "
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.dup2(os.open('result', os.O_WRONLY | os.O_CREAT), 1)
    os.execv(sys.argv[1], sys.argv[1:])
os.read(terminal, 1)
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";

#[test]
fn a_closed_terminal_does_not_end_an_import() {
    let redis = RedisServer::start(&[]);
    let (directory, code, _) = import_with(TERMINAL_IS_CLOSED, &redis);
    let result = fs::read_to_string(directory.path().join("result")).unwrap();
    assert_eq!(code, Some(0), "{result}");
    assert!(result.starts_with("Accounts imported into Redis at ") && result.contains(": 40000;"), "{result}");
}

/// Imports 40,000 accounts under a program in Python. Returns the directory, the exit code and what was printed.
fn import_with(python: &str, redis: &RedisServer) -> (TempDir, Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("accounts"), lines(40_000)).unwrap();
    let mut command = program("python3");
    command.args(["-c", python, env!("CARGO_BIN_EXE_auth-service"), "import", "accounts"]);
    command.current_dir(directory.path()).env("REDIS_URL", redis.url()).stdin(Stdio::null());
    let output = command.output().unwrap();
    (directory, output.status.code(), text(&output.stdout).to_owned())
}
