//! Debian's Exim, which takes mails over TLS only, and only with a user name and a password. `.ci/exim.sh` unpacks it.

use std::{borrow::Cow, fs, os::unix::fs::chown, path::Path, sync::Arc};

use mail_parser::MessageParser;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Certificates, Process, Store, TestApp, command, free_port, program, run_to_end, wait_longer};

/// Exim does not run as root, so it runs as this user if the tests run as root.
const NOBODY: u32 = 65_534;
/// The user name and the password of the configuration, in a URL.
const LOGIN: &str = "user%40example.com:p%40ss%3Aw%2Frd";

/// A running Exim, killed when dropped.
pub(crate) struct Exim {
    starttls: u16,
    tls: u16,
    directory: tempfile::TempDir,
    certificates: Arc<Certificates>,
    _process: Process,
}

impl Exim {
    pub(crate) fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/mail/exim/unpacked");
        assert!(root.is_dir(), "run .ci/exim.sh first");
        let (directory, certificates) = (tempfile::tempdir().unwrap(), Certificates::shared());
        // The user of Exim may have no access to the project.
        let mut copy = program("cp");
        copy.arg("-r").arg(root.join("usr")).arg(directory.path());
        assert!(run_to_end(copy).status.success());
        let programs = directory.path().join("usr");
        let (starttls, tls) = (free_port(), free_port());
        let user = if rustix::process::getuid().is_root() { NOBODY } else { rustix::process::getuid().as_raw() };
        let write = |name: &str, text: &[u8]| {
            let file = directory.path().join(name);
            fs::write(&file, text).unwrap();
            file
        };
        for name in ["server.pem", "server.key"] {
            write(name, &fs::read(certificates.path(name)).unwrap());
        }
        let configuration = write("exim.conf", configuration(directory.path(), starttls, tls).as_bytes());
        let passwd = write("passwd", format!("Debian-exim:x:{user}:{user}::/:/bin/false\n").as_bytes());
        let group = write("group", format!("Debian-exim:x:{user}:\n").as_bytes());
        for name in ["spool", "mails"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let mut command = if user == NOBODY {
            give_all_to(directory.path(), user);
            let mut command = program("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig=KILL", "--", "env"]);
            command
        } else {
            program("env")
        };
        let libraries = programs.join("lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
        // For Exim only: setpriv and env must not load the wrapper.
        command.arg(format!("LD_LIBRARY_PATH={}", libraries.display()));
        command.arg(format!("LD_PRELOAD={}", libraries.join("libnss_wrapper.so").display()));
        command.arg(format!("NSS_WRAPPER_PASSWD={}", passwd.display()));
        command.arg(format!("NSS_WRAPPER_GROUP={}", group.display()));
        // In the foreground, so that the process ends with the test.
        command.arg(programs.join("sbin/exim4")).arg("-C").arg(configuration).arg("-bdf");
        let exim = Self { starttls, tls, directory, certificates, _process: Process::start(command) };
        wait_longer(30, "Exim listens", || exim.log().contains("listening for SMTP"));
        exim
    }

    /// All that Exim has logged. The lines of refusals are in a file of their own, too.
    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log_main")).unwrap_or_default()
    }

    /// The settings of a server that sends its mails here. `url` is the part of the URL after the login.
    fn settings(&self, url: &str) -> Vec<(&'static str, String)> {
        let (scheme, host) = url.split_once("://").unwrap();
        vec![
            ("SMTP_URL", format!("{scheme}://{LOGIN}@{host}")),
            ("SMTP_FROM", "Example <no-reply@example.com>".to_owned()),
            ("PUBLIC_URL", "https://app.example.com".to_owned()),
            ("SSL_CERT_FILE", self.certificates.path("ca.pem")),
        ]
    }
}

/// Gives a directory and its entries to a user.
fn give_all_to(directory: &Path, user: u32) {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    for path in entries.chain([directory.to_owned()]) {
        chown(path, Some(user), Some(user)).unwrap();
    }
}

/// Takes mails of authenticated clients, and puts each into a file. Offers the login only inside TLS.
fn configuration(directory: &Path, starttls: u16, tls: u16) -> String {
    let directory = directory.display();
    format!(
        r#"spool_directory = {directory}/spool
log_file_path = {directory}/log_%s
pid_file_path = {directory}/pid
primary_hostname = localhost
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {starttls} : {tls}
tls_on_connect_ports = {tls}
tls_advertise_hosts = *
tls_certificate = {directory}/server.pem
tls_privatekey = {directory}/server.key
host_lookup =
deliver_drop_privilege = true
acl_smtp_mail = check_sender
acl_smtp_rcpt = accept_all
acl_smtp_data = accept_all
begin acl
check_sender:
  deny !authenticated = *
  accept
accept_all:
  accept
begin routers
all:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  directory = {directory}/mails
  create_directory = false
  directory_file = $message_exim_id
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{{{eq{{$auth2}}{{user@example.com}}}}{{eq{{$auth3}}{{p@ss:w/rd}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
"#
    )
}

/// The finding of `doctor` about mails, on the store of `app`.
fn finding(app: &TestApp, more: Vec<(&'static str, String)>) -> Value {
    let mut settings = app.settings().clone();
    settings.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let output = command(app.working_directory(), &settings).args(["doctor", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = findings["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["check"] == "mail").unwrap().clone()
}

#[test]
fn the_doctor_finds_out_whether_the_server_would_take_mails() {
    let exim = Exim::start();
    let app = TestApp::start(Store::Embedded).aside(Store::Embedded);
    let of = |url: &str| exim.settings(url);
    let without_authority = |url: &str| of(url).into_iter().filter(|(name, _)| *name != "SSL_CERT_FILE").collect();
    let wrong_login = |url: &str| {
        let mut settings = of(url);
        settings[0].1 = settings[0].1.replace(LOGIN, "user:planted");
        settings
    };
    let (starttls, tls) = (exim.starttls, exim.tls);
    let smtps = format!("smtps://localhost:{tls}");
    for (settings, verdict, seen) in [
        (of(&smtps), "ok", "takes mails"),
        (without_authority(&smtps), "warning", "tls: invalid peer certificate: UnknownIssuer"),
        (wrong_login(&smtps), "warning", "login: the server has answered 535"),
        (of(&format!("smtps://localhost:{starttls}")), "warning", "tls: "),
        (of(&format!("smtps://localhost:{}", free_port())), "warning", "unreachable: "),
        // Without TLS, Exim offers no login.
        (of(&format!("smtp://localhost:{starttls}")), "warning", "login: "),
        (of(&format!("smtp://localhost:{starttls}?tls=on")), "ok", "takes mails"),
        (without_authority(&format!("smtp://localhost:{starttls}?tls=on")), "warning", "tls: invalid peer certificate"),
    ] {
        let finding = finding(&app, settings);
        assert_eq!(finding["verdict"], verdict, "{finding}");
        assert!(finding["seen"].as_str().unwrap().contains(seen), "{finding}");
        assert!(finding["place"].as_str().unwrap().starts_with("localhost:"), "{finding}");
        assert!(!finding.to_string().contains("planted") && !finding.to_string().contains("p%40ss"), "{finding}");
    }
}

/// The first mail to `to`, as a mail program shows it.
fn wait_for_mail(exim: &Exim, to: &str) -> String {
    let mut text = None;
    wait_longer(30, "the mail arrives", || {
        let entries = fs::read_dir(exim.directory.path().join("mails")).unwrap();
        // Exim renames a file when the mail is complete, so the file of an entry may be gone.
        let mails = entries.filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok());
        let of = |mail: String| {
            let parsed = MessageParser::default().parse(&mail)?;
            let found = parsed.to()?.first()?.address()? == to;
            found.then(|| parsed.body_text(0).map(Cow::into_owned)).flatten()
        };
        text = mails.filter_map(of).next();
        text.is_some()
    });
    text.unwrap()
}

#[rstest]
#[case("smtps", "")]
#[case("smtp", "?tls=on")]
fn a_forgotten_password_is_reset_by_a_mail_over_tls(#[case] scheme: &str, #[case] query: &str) {
    let exim = Exim::start();
    let port = if scheme == "smtps" { exim.tls } else { exim.starttls };
    let settings = exim.settings(&format!("{scheme}://localhost:{port}{query}"));
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
    let app = TestApp::start_with(Store::Embedded, &settings);
    let email = app.new_account();
    let answer = app.send_json("POST", "/password/forgot", &json!({"email": email}));
    assert_eq!(answer.status, 202, "{answer:?}");
    let text = wait_for_mail(&exim, &email);
    let (_, rest) = text.split_once("https://app.example.com/#token=").unwrap();
    let token = rest.split_whitespace().next().unwrap();
    let body = json!({"token": token, "new_password": "another horse"});
    let answer = app.send_json("POST", "/password/reset", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    app.sign_in(&email, "another horse");
    assert!(exim.log().contains("P=esmtpsa"), "TLS and a login: {}", exim.log());
}
