//! Programs that tests start. No program outlives the test process, even if the test process is killed.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{LazyLock, mpsc},
    thread,
};

use super::wait::{wait_longer, wait_until};

/// A command for a program on the PATH. Panics if the program is missing, so that no test passes without it.
///
/// The kernel kills the process when the test process ends, because drop handlers do not run after a SIGKILL or a
/// Ctrl-C.
///
/// Each program has a session of its own, because Linux shares the processor fairly between sessions. In one session
/// with busy tests, the threads that hash passwords would hardly run, because they have the lowest priority.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(find("setpriv".as_ref()));
    command.args(["--pdeathsig", "KILL", "--"]).arg(find("setsid".as_ref())).arg(find(name.as_ref()));
    command
}

fn find(name: &OsStr) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian has haproxy in /usr/sbin, which is not on every user's PATH.
    let directories = env::split_paths(&path).chain(["/usr/sbin".into()]);
    // `join` returns an absolute path unchanged.
    let found = directories.map(|directory| directory.join(name)).find(|file| file.is_file());
    found
        .unwrap_or_else(|| panic!("{} is not installed; ./test.sh installs what is missing", Path::new(name).display()))
}

/// Starts a command from [`program`].
///
/// The kernel kills the process when the thread that started it ends. The thread of a test may end too early. So one
/// thread, which lasts as long as the test process, starts all programs.
fn spawn(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static STARTER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, child) in jobs {
                // Fails if the test has given up and no longer waits for the child.
                let _ = child.send(command.spawn());
            }
        });
        sender
    });
    let (sender, child) = mpsc::channel();
    STARTER.send((command, sender)).unwrap();
    child.recv().unwrap()
}

/// A running process, killed when dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: Command) -> Self {
        Self(spawn(command).unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The child, for access to its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// The exit status, or `None` while the process runs.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_longer(60, "the process ends", || {
            status = self.status();
            status.is_some()
        });
        status.unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal to a process that the test started.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
    assert!(status.success());
    if name == "STOP" {
        // The other threads run on until each has noticed the signal.
        wait_until("all threads have stopped", || {
            let mut tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
            tasks.all(|task| {
                let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_none_or(|(_, fields)| fields.starts_with('T'))
            })
        });
    }
}
