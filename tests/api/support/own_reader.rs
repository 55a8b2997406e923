//! A server whose output the test itself reads, so that the test decides when, and whether at all.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{ChildStdout, Stdio},
};

use super::{
    command::{command, with_defaults},
    process::Process,
};

/// Starts a server on an embedded store in `directory`. Returns the process, the output after the line that names the
/// port, and the port.
pub(crate) fn start_with_own_reader(
    directory: &Path,
    settings: &[(&str, &str)],
) -> (Process, BufReader<ChildStdout>, u16) {
    let mut command = command(directory, &with_defaults(settings));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut server = Process::start(command);
    let mut log = BufReader::new(server.child().stdout.take().unwrap());
    let port = log.by_ref().lines().map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("listening on http://127.0.0.1:")?;
        rest.split(',').next()?.parse().ok()
    });
    (server, log, port.unwrap())
}
