//! The server of the pages, which also takes their reports.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use serde_json::Value;

/// Paths, the types of the files, and the files.
const FILES: [(&str, &str, &str); 8] = [
    ("/", "text/html", include_str!("page.html")),
    ("/tab", "text/html", include_str!("tab.html")),
    ("/account", "text/html", include_str!("account.html")),
    ("/auth.js", "text/javascript", include_str!("auth.js")),
    ("/auth-service.js", "text/javascript", include_str!("../../clients/js/auth-service.js")),
    ("/requests.js", "text/javascript", include_str!("../../clients/js/requests.js")),
    ("/session.js", "text/javascript", include_str!("../../clients/js/session.js")),
    ("/storage.js", "text/javascript", include_str!("../../clients/js/storage.js")),
];
/// A browser on a busy machine needs a while to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server at `127.0.0.1`, which ends with the test process.
pub(crate) struct Pages {
    port: u16,
    plan: Arc<Mutex<String>>,
    reports: mpsc::Receiver<Value>,
}

impl Pages {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, reports) = mpsc::channel();
        let plan = Arc::new(Mutex::new(String::new()));
        let served = Arc::clone(&plan);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (plan, sender) = (Arc::clone(&served), sender.clone());
                // A browser opens connections in advance, so each needs a thread. Errors come from such connections.
                thread::spawn(move || serve(stream, &plan, &sender));
            }
        });
        Self { port, plan, reports }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What the page fetches first: the servers and the accounts that it uses.
    pub(crate) fn set_plan(&self, plan: &Value) {
        *self.plan.lock().unwrap() = plan.to_string();
    }

    /// Waits for the report of the page.
    pub(crate) fn report(&self) -> Value {
        self.reports.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no report of the page: {error}"))
    }
}

/// Answers one request.
fn serve(mut stream: TcpStream, plan: &Mutex<String>, reports: &mpsc::Sender<Value>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok()?;
    let mut header = String::new();
    while reader.read_line(&mut header).ok()? > 2 {
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        header.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = line.split(' ').nth(1)?.split('?').next()?;
    let file = FILES.iter().find(|(name, ..)| *name == path);
    let (status, kind, answer) = match (path, file) {
        ("/plan", _) => ("200 OK", "application/json", plan.lock().unwrap().clone()),
        ("/report", _) => ("200 OK", "text/plain", String::new()),
        (_, Some((_, kind, text))) => ("200 OK", *kind, (*text).to_owned()),
        _ => ("404 Not Found", "text/plain", String::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", answer.len());
    stream.write_all(format!("{head}Connection: close\r\n\r\n{answer}").as_bytes()).ok()?;
    // The browser ends soon after the report, so the report goes out last.
    if path == "/report" {
        reports.send(serde_json::from_slice(&body).ok()?).ok()?;
    }
    Some(())
}
