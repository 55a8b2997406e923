//! Gives the mails of the servers to the tests in Node.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use crate::support::Mailbox;

/// Serves mails at the URL that it returns, until the test process ends. `GET /ADDRESS` takes the next mail to this
/// address, and returns its text. The answer is 404 while there is none.
pub(crate) fn serve(mailbox: Mailbox) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Node may close a connection without a request.
            let _ = answer(&stream, &mailbox);
        }
    });
    url
}

fn answer(mut stream: &TcpStream, mailbox: &Mailbox) -> io::Result<()> {
    let mut head = BufReader::new(stream).lines();
    let line = head.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    while head.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
    let address = line.split([' ', '/']).nth(2).unwrap_or_default();
    let mail = mailbox.take(address);
    let status = if mail.is_some() { "200 OK" } else { "404 Not Found" };
    let text = mail.map(|mail| mail.text).unwrap_or_default();
    let length = text.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}")
}
