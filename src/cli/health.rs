//! `auth-service health`: whether the server on this machine is ready, for the health check of a container.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    process::ExitCode,
    time::Duration,
};

use clap::{ArgMatches, Command};
use serde::Serialize;

use super::{
    arguments,
    output::{Failed, Report, report},
};
use crate::config::{Config, Listen, Sources};

const HELP: &str = "\
Examples:
  auth-service health                 requests http://127.0.0.1:3000/readyz
  auth-service health --port 8080

Exits with 0 if the server on this machine is ready, else with 1.";

const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn command() -> Command {
    arguments::command("health", "Ask the server on this machine whether it is ready", HELP)
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    report(matches, health(sources))
}

#[derive(Serialize)]
struct Healthy {
    result: &'static str,
}

impl Report for Healthy {
    fn text(&self) -> String {
        "The server is ready".to_owned()
    }
}

fn health(sources: &Sources) -> Result<Healthy, Failed> {
    let Listen { host, port } = Config::load_address(sources).map_err(|problems| Failed::wrong_settings(&problems))?;
    let host = reachable(&host);
    let unreachable = |error| Failed::new("server_unreachable", format!("no answer from {host} port {port}: {error}"));
    match ask(host, port).map_err(unreachable)? {
        200 => Ok(Healthy { result: "ready" }),
        status => Err(Failed::new("not_ready", format!("the server is not ready: it answered {status}"))),
    }
}

/// An address that reaches a server that listens on `host`. `0.0.0.0` and `::` stand for every address, and the
/// loopback address is one of them.
fn reachable(host: &str) -> &str {
    match host {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    }
}

/// The status of `/readyz`.
fn ask(host: &str, port: u16) -> io::Result<u16> {
    let no_address = || io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let address = (host, port).to_socket_addrs()?.next().ok_or_else(no_address)?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4_096).read_to_end(&mut answer)?;
    parse_status(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

fn parse_status(answer: &[u8]) -> Option<u16> {
    let digits = answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_in_the_first_line() {
        assert_eq!(parse_status(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), Some(503));
        for bad in [&b""[..], b"HTTP/1.1 20", b"HTTP/1.1 abc", b"SSH-2.0-OpenSSH", b"HTTP/1.1 \xff\xff\xff"] {
            assert_eq!(parse_status(bad), None);
        }
    }
}
