//! Connections that a load balancer keeps open while clients pause.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, TcpStream},
    process::Stdio,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Connection, PASSWORD, PROXY, Process, Store, TestApp, free_port, program, raw, wait_until};

/// The number of clients for each pause.
const CLIENTS: usize = 6;
/// The pauses of clients, in seconds. nginx closes an idle connection to a server after 60 seconds. The server must not
/// close the connection first, because a request may be on its way.
const PAUSES: [u64; 3] = [8, 30, 60];

/// nginx with `keepalive` to one server, and otherwise with its defaults.
struct Nginx {
    port: u16,
    _process: Process,
    _directory: TempDir,
}

impl Nginx {
    fn start(server: u16) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let configuration = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                upstream replicas {{ server 127.0.0.1:{server}; keepalive 64; }}
                server {{
                    listen 127.0.0.1:{port};
                    location / {{
                        proxy_pass http://replicas;
                        proxy_http_version 1.1;
                        proxy_set_header Connection \"\";
                        proxy_set_header X-Forwarded-For $remote_addr;
                    }}
                }}
            }}"
        );
        fs::write(directory.path().join("nginx.conf"), configuration).unwrap();
        let mut command = program("nginx");
        command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::start(command);
        wait_until("nginx listens", || {
            assert!(process.status().is_none(), "nginx has ended");
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Self { port, _process: process, _directory: directory }
    }
}

/// The ports at the other end of the open connections of a server.
fn peers(server: u16) -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    // The columns are: number, local address, remote address, state. State 01 is ESTABLISHED. Numbers are hexadecimal.
    let own = format!("0100007F:{server:04X}");
    rows.filter(|row| row[1] == own && row[3] == "01").map(|row| row[2].to_owned()).collect()
}

/// Sends a request that nginx does not repeat when a connection breaks.
#[track_caller]
fn sign_in(connection: &mut Connection, account: &str, when: &str) {
    let request = raw::request("POST", "/authenticate", &[("Content-Type", "application/json")], Some(account));
    connection.write(&request).unwrap_or_else(|error| panic!("{when}: {error}"));
    assert_eq!(connection.read().map(|answer| answer.status), Some(200), "{when}");
}

#[test]
fn clients_of_nginx_that_pause_see_no_error() {
    let app = TestApp::start_with(Store::Embedded, &[PROXY]);
    let nginx = Nginx::start(app.port());
    let clients = PAUSES.iter().flat_map(|pause| [*pause; CLIENTS]);
    let mut clients: Vec<_> = clients
        .map(|pause| {
            let account = json!({"email": app.new_account(), "password": PASSWORD}).to_string();
            (Connection::open(nginx.port), account, pause)
        })
        .collect();
    thread::scope(|scope| {
        for (connection, account, _) in &mut clients {
            scope.spawn(|| sign_in(connection, account, "at first"));
        }
    });
    let (start, before) = (Instant::now(), peers(app.port()));
    assert!(!before.is_empty(), "nginx keeps connections open");
    thread::scope(|scope| {
        for (connection, account, pause) in &mut clients {
            scope.spawn(move || {
                // The pause is the subject of this test.
                sleep(Duration::from_secs(*pause).saturating_sub(start.elapsed()));
                sign_in(connection, account, &format!("after a pause of {pause} s"));
            });
        }
        scope.spawn(|| {
            // Later than the second pause, and before nginx closes connections.
            sleep(Duration::from_secs(45).saturating_sub(start.elapsed()));
            let open = peers(app.port());
            assert!(before.is_subset(&open), "after two pauses, the first connections are open: {before:?}, {open:?}");
        });
    });
}
