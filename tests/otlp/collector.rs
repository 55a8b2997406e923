//! A collector: an HTTP server that keeps the spans that arrive.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use super::{
    protobuf::Message,
    support::{TestApp, wait_longer},
};

/// A span, with ids in hexadecimal.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) parent: String,
    pub(super) name: String,
    /// 2 stands for the span of a server.
    pub(super) kind: u64,
    pub(super) attributes: BTreeMap<String, String>,
    /// 2 stands for an error.
    pub(super) status: u64,
    /// In nanoseconds.
    pub(super) duration: u64,
}

#[derive(Default)]
struct Received {
    /// The request line and the headers of each request.
    heads: Vec<String>,
    bodies: Vec<Vec<u8>>,
}

pub(super) struct Collector {
    port: u16,
    received: Arc<Mutex<Received>>,
}

impl Collector {
    pub(super) fn start() -> Self {
        Self::start_with(|stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap())
    }

    /// A collector that reads requests, and never answers.
    pub(super) fn start_silent() -> Self {
        Self::start_with(|stream| {
            // Ends when the server closes the connection.
            let _ = stream.read(&mut [0; 1]);
        })
    }

    fn start_with(answer: fn(&mut TcpStream)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::<Mutex<Received>>::default();
        let collector = Self { port, received: Arc::clone(&received) };
        // This thread ends with the test process, and each other thread ends with its connection.
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let received = Arc::clone(&received);
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some((head, body)) = request(&mut reader) {
                        {
                            let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
                            received.heads.push(head);
                            received.bodies.push(body);
                        }
                        answer(&mut stream);
                    }
                });
            }
        });
        collector
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.received.lock().unwrap().heads.clone()
    }

    /// All that arrived, as text.
    pub(super) fn text(&self) -> String {
        self.received.lock().unwrap().bodies.iter().map(|body| String::from_utf8_lossy(body).into_owned()).collect()
    }

    /// The attributes of the resource of the first batch.
    pub(super) fn resource(&self) -> BTreeMap<String, String> {
        let received = self.received.lock().unwrap();
        attributes(&Message::decode(&received.bodies[0]).message(1).message(1), 1)
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let requests = received.bodies.iter().map(|body| Message::decode(body));
        let scopes = requests.flat_map(|request| {
            request.messages(1).flat_map(|of| of.messages(2).collect::<Vec<_>>()).collect::<Vec<_>>()
        });
        scopes.flat_map(|scope| scope.messages(2).map(|span| span_of(&span)).collect::<Vec<_>>()).collect()
    }

    /// Waits for the span with this id.
    pub(super) fn span(&self, id: &str) -> Span {
        let find = || self.spans().into_iter().find(|span| span.span_id == id);
        wait_longer(20, "the span arrives", || find().is_some());
        find().unwrap()
    }
}

/// A server on the embedded store that sends its spans to `endpoint` each 100 ms.
pub(super) fn start(endpoint: &str, settings: &[(&str, &str)]) -> TestApp {
    let all = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    TestApp::start_with(super::support::Store::Embedded, &[&all, settings].concat())
}

/// `None` at the end of the connection.
fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// The numbers of the fields are those of opentelemetry-proto, `trace/v1/trace.proto` and `common/v1/common.proto`.
fn span_of(span: &Message) -> Span {
    Span {
        trace_id: span.hexadecimal(1),
        span_id: span.hexadecimal(2),
        parent: span.hexadecimal(4),
        name: span.text(5),
        kind: span.number(6),
        attributes: attributes(span, 9),
        status: span.message(15).number(3),
        duration: span.number(8) - span.number(7),
    }
}

fn attributes(message: &Message, number: u64) -> BTreeMap<String, String> {
    let value = |value: Message| match value.bytes(1) {
        b"" => value.number(3).to_string(),
        _ => value.text(1),
    };
    message.messages(number).map(|attribute| (attribute.text(1), value(attribute.message(2)))).collect()
}
