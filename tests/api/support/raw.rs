//! HTTP/1.1 as bytes. The server gets exactly what a test writes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use rustix::net::{AddressFamily, SocketType, sockopt};
use serde_json::Value;

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Asserts the status and the whole body.
    #[track_caller]
    pub(crate) fn assert(&self, status: u16, body: &Value) {
        assert_eq!((self.status, &self.json()), (status, body), "{self:?}");
    }

    /// Asserts this status and code, and what all errors have in common.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let body = self.json();
        assert_eq!((&body["result"], &body["code"]), (&"Error occurred".into(), &code.into()), "{self:?}");
        let sentence = body["error"].as_str().unwrap_or_default();
        assert!(!sentence.is_empty(), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json; charset=utf-8"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        if status == 503 {
            assert!(self.header("retry-after").is_some(), "{self:?}");
        }
    }

    /// Asserts a validation error that names exactly these fields.
    #[track_caller]
    pub(crate) fn assert_invalid(&self, fields: &[&str]) {
        self.assert_error(400, "validation_failed");
        let body = self.json();
        let named: Vec<_> = body["fields"].as_array().unwrap().iter().map(|f| f["field"].as_str().unwrap()).collect();
        assert_eq!(named, fields, "{self:?}");
    }
}

/// One connection, for any number of requests.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    /// The answer to a HEAD has a length but no body.
    sent_head: bool,
}

impl Connection {
    pub(crate) fn open(port: u16) -> Self {
        Self::try_open(port).unwrap()
    }

    pub(crate) fn try_open(port: u16) -> std::io::Result<Self> {
        Self::open_at(("127.0.0.1", port))
    }

    /// A connection for which the kernel buffers little data in each direction.
    pub(crate) fn open_with_small_buffers(port: u16) -> Self {
        // The sizes have an effect only if they are set before the connection is established.
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
        sockopt::set_socket_send_buffer_size(&socket, 4096).unwrap();
        rustix::net::connect(&socket, &SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        Self::over(socket.into()).unwrap()
    }

    /// A connection from another address of this machine, such as 127.0.0.2.
    pub(crate) fn open_from(address: Ipv4Addr, port: u16) -> Self {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from((address, 0))).unwrap();
        rustix::net::connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
        Self::over(socket.into()).unwrap()
    }

    /// An error means that nobody listens.
    pub(crate) fn open_at(address: impl ToSocketAddrs) -> std::io::Result<Self> {
        Self::over(TcpStream::connect(address)?)
    }

    fn over(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { reader: BufReader::new(stream), sent_head: false })
    }

    /// An error means that the server has closed the connection.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.sent_head = bytes.starts_with(b"HEAD ");
        self.reader.get_mut().write_all(bytes)
    }

    /// The next answer other than 1xx. `None` when the server closes or resets the connection first.
    pub(crate) fn read(&mut self) -> Option<Answer> {
        loop {
            let answer = self.read_one()?;
            if answer.status >= 200 {
                return Some(answer);
            }
        }
    }

    fn read_one(&mut self) -> Option<Answer> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let status = line.strip_prefix("HTTP/1.1 ").or(line.strip_prefix("HTTP/1.0 ")).unwrap()[..3].parse().unwrap();
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: String::new() };
        let length = answer.header("content-length").filter(|_| !self.sent_head);
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.reader.read_exact(&mut body).ok()?;
        answer.body = String::from_utf8(body).unwrap();
        Some(answer)
    }

    /// Shuts down one direction, or both.
    pub(crate) fn shutdown(&self, how: std::net::Shutdown) {
        self.reader.get_ref().shutdown(how).unwrap();
    }

    pub(crate) fn set_write_timeout(&self, time: Duration) {
        self.reader.get_ref().set_write_timeout(Some(time)).unwrap();
    }

    /// Whether the server has reset the connection.
    pub(crate) fn was_reset(&self) -> bool {
        matches!(self.reader.get_ref().take_error(), Ok(Some(_)))
    }

    /// Whether the server neither sends anything nor closes the connection for `time`.
    pub(crate) fn is_silent(&mut self, time: Duration) -> bool {
        let stream = self.reader.get_ref();
        let before = stream.read_timeout().unwrap();
        stream.set_read_timeout(Some(time)).unwrap();
        let silent = self.reader.buffer().is_empty() && self.reader.get_ref().peek(&mut [0]).is_err();
        self.reader.get_ref().set_read_timeout(before).unwrap();
        silent
    }

    /// Whether the server sends nothing more and closes the connection before the read timeout.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => rest.is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if let Some(body) = body {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body.unwrap_or_default();
    text.into_bytes()
}

/// Sends bytes on a new connection and reads one answer. `None` when the server is gone, or closes without an answer.
pub(crate) fn exchange(port: u16, bytes: &[u8]) -> Option<Answer> {
    let mut connection = Connection::try_open(port).ok()?;
    // The server may answer and close the connection before it has read all bytes.
    let _ = connection.write(bytes);
    connection.read()
}
