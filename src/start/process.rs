//! The limit on open files, and the signals to the process.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::{cli, http::Leave};

/// Open files of the store, the log and the runtimes, with a reserve.
const FILES_BESIDES_CONNECTIONS: u64 = 100;

/// Raises the soft limit on open files to the hard limit. Each connection takes a file descriptor, and the usual soft
/// limit of 1,024 is below `MAX_CONNECTIONS`.
pub(super) fn raise_file_limit(max_connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    // If the system refuses, the limit stays unchanged, and the warning below reports the consequence.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let needed = max_connections as u64 + FILES_BESIDES_CONNECTIONS;
    if let Some(files) = getrlimit(Resource::Nofile).current.filter(|files| *files < needed) {
        tracing::warn!(
            "MAX_CONNECTIONS={max_connections} needs {needed} open files, but the system allows {files}: raise its \
             limit (ulimit -n), or lower MAX_CONNECTIONS"
        );
    }
}

/// Keeps SIGHUP, which a closed terminal, an operator or logrotate sends, from ending the process. Calls `act` at each
/// SIGHUP.
///
/// # Errors
/// When the system refuses a signal handler.
pub(super) fn outlive_hang_ups(act: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            act();
            tracing::info!("SIGHUP: the server goes on; it reads its settings only at the start");
        }
    });
    Ok(())
}

/// Waits for SIGTERM, which an orchestrator sends, or SIGINT, which a person sends. A second signal ends the process at
/// once, without the loss of an acknowledged write.
///
/// # Errors
/// When the system refuses a signal handler.
pub(super) fn stop_signal() -> io::Result<impl Future<Output = Leave>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => Leave::AfterDelay,
            _ = interrupt.recv() => Leave::AtOnce,
        }
    };
    Ok(async move {
        let leave = next().await;
        tokio::spawn(async move {
            next().await;
            std::process::exit(cli::FAILED.into());
        });
        leave
    })
}
