//! An SMTP server that takes every mail and keeps it for the test.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use mail_parser::MessageParser;

use super::wait::wait_until;

/// The page in the links of mails.
pub(crate) const PUBLIC_URL: &str = "https://app.example.com/account";

/// The settings of a server that could send mails, but sends none in the test.
pub(crate) const MAILS: [(&str, &str); 3] =
    [("SMTP_URL", "smtp://127.0.0.1:1"), ("SMTP_FROM", "no-reply@example.com"), ("PUBLIC_URL", PUBLIC_URL)];

/// A running SMTP server.
pub(crate) struct Mailbox {
    port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
    refuses: Arc<AtomicBool>,
    /// The number of mails to each address that the test has taken.
    taken: Mutex<HashMap<String, usize>>,
}

/// A mail as a mail program shows it.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    /// The address in the envelope.
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    /// All lines, with the headers.
    pub(crate) raw: String,
}

impl Mail {
    /// The link in the text.
    #[track_caller]
    pub(crate) fn link(&self) -> &str {
        let link = self.text.split_whitespace().find(|word| word.starts_with(PUBLIC_URL));
        link.unwrap_or_else(|| panic!("no link in {self:?}"))
    }

    /// The token in the link.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        self.link().strip_prefix(&format!("{PUBLIC_URL}#token=")).unwrap().to_owned()
    }
}

impl Mailbox {
    pub(crate) fn start() -> Self {
        Self::start_at(0)
    }

    /// Port 0 takes a free port.
    pub(crate) fn start_at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let refuses = Arc::new(AtomicBool::new(false));
        let (received, refusing) = (Arc::clone(&mails), Arc::clone(&refuses));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (received, refusing) = (Arc::clone(&received), Arc::clone(&refusing));
                // An error means that the server under test has closed the connection.
                thread::spawn(move || drop(receive(&stream.unwrap(), &received, &refusing)));
            }
        });
        Self { port, mails, refuses, taken: Mutex::default() }
    }

    /// The `SMTP_URL` of a server that sends its mails here.
    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// The settings of a server that sends its mails here.
    pub(crate) fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("SMTP_URL", self.url()),
            ("SMTP_FROM", "Example <no-reply@example.com>".to_owned()),
            ("PUBLIC_URL", PUBLIC_URL.to_owned()),
        ]
    }

    /// Whether all mails are refused for good from now on.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Waits for the next mail to `address` that the test has not taken.
    #[track_caller]
    pub(crate) fn wait_for(&self, address: &str) -> Mail {
        let mut mail = None;
        wait_until(&format!("a mail to {address} arrives"), || {
            mail = self.take(address);
            mail.is_some()
        });
        mail.unwrap()
    }

    /// The next mail to `address` that the test has not taken, if there is one.
    pub(crate) fn take(&self, address: &str) -> Option<Mail> {
        let mut taken = self.taken.lock().unwrap();
        let count = taken.entry(address.to_owned()).or_default();
        let mail = self.mails.lock().unwrap().iter().filter(|mail| mail.to == address).nth(*count).cloned()?;
        *count += 1;
        Some(mail)
    }

    /// The number of mails to `address` so far.
    pub(crate) fn count(&self, address: &str) -> usize {
        self.mails.lock().unwrap().iter().filter(|mail| mail.to == address).count()
    }
}

/// Speaks SMTP (RFC 5321) with one client.
fn receive(stream: &TcpStream, received: &Mutex<Vec<Mail>>, refuses: &AtomicBool) -> io::Result<()> {
    let mut output = stream;
    let mut lines = BufReader::new(stream).lines();
    let mut recipients = Vec::new();
    output.write_all(b"220 mailbox.test ESMTP\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let answer = match line.get(..4).unwrap_or_default() {
            "EHLO" => "250 mailbox.test",
            "MAIL" if refuses.load(Ordering::SeqCst) => "550 No",
            "RCPT" => {
                recipients.push(line.split(['<', '>']).nth(1).unwrap().to_owned());
                "250 OK"
            }
            "DATA" => {
                output.write_all(b"354 Go on\r\n")?;
                let mut message = String::new();
                while let Some(line) = lines.next().transpose()?.filter(|line| line != ".") {
                    message += line.strip_prefix('.').unwrap_or(&line);
                    message += "\r\n";
                }
                received.lock().unwrap().extend(recipients.drain(..).map(|to| read(to, &message)));
                "250 OK"
            }
            "QUIT" => return output.write_all(b"221 Bye\r\n"),
            _ => "250 OK",
        };
        output.write_all(format!("{answer}\r\n").as_bytes())?;
    }
    Ok(())
}

fn read(to: String, raw: &str) -> Mail {
    let message = MessageParser::default().parse(raw).unwrap();
    let text = |body: Option<Cow<'_, str>>| body.unwrap_or_default().into_owned();
    Mail {
        to,
        subject: message.subject().unwrap_or_default().to_owned(),
        text: text(message.body_text(0)),
        html: text(message.body_html(0)),
        raw: raw.to_owned(),
    }
}
