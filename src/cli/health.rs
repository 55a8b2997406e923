//! `auth-service health`.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    process::ExitCode,
    time::Duration,
};

use clap::ArgMatches;
use serde::Serialize;

use super::{Failed, Report, WRONG_USAGE, report};
use crate::config::{Config, Sources};

const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Serialize)]
struct Healthy {
    result: &'static str,
}

impl Report for Healthy {
    fn line(&self) -> String {
        "The server is ready".to_owned()
    }
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    let outcome = match Config::load_address(sources) {
        Ok((host, port)) => ask(&host, port),
        Err(problems) => Err(Failed { error: problems.join("; "), code: "wrong_usage", exit: WRONG_USAGE }),
    };
    report(matches, outcome)
}

fn ask(host: &str, port: u16) -> Result<Healthy, Failed> {
    // A server that listens on every address is asked on this machine's own.
    let host = match host {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    let status = status(host, port)
        .map_err(|error| Failed::new("server_unreachable", format!("no answer from {host} port {port}: {error}")))?;
    match status {
        200 => Ok(Healthy { result: "ready" }),
        status => Err(Failed::new("not_ready", format!("the server is not ready: it answered {status}"))),
    }
}

fn status(host: &str, port: u16) -> io::Result<u16> {
    let no_address = || io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let address = (host, port).to_socket_addrs()?.next().ok_or_else(no_address)?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4_096).read_to_end(&mut answer)?;
    let status = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let status = status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}
