//! SMTP servers that are silent, that die in the middle of a mail, and a queue without a place.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use auth_service_mail::{Full, Retry};
use rstest::rstest;

use crate::scene::{FAST, Scene, failed, lost, sent};

/// The number of places in the queue.
const PLACES: usize = 1_000;

/// What a server does at a command of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It answers nothing, and keeps the connection.
    Silence,
    /// It closes the connection.
    End,
    /// It answers with something other than SMTP.
    Noise,
    /// It answers with a line that never ends.
    Endless,
}

/// A server that has a fault in its first connections.
struct Faulty {
    port: u16,
    connections: Arc<AtomicUsize>,
    /// Keeps the silent connections until the test ends.
    _held: Receiver<TcpStream>,
}

impl Faulty {
    /// The first `times` connections meet the fault at this step: the greeting, a command, or `.`, the end of the mail.
    fn start(step: &'static str, fault: Fault, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (held, kept) = channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let n = count.fetch_add(1, Ordering::SeqCst);
                let (held, step) = (held.clone(), if n < times { step } else { "never" });
                thread::spawn(move || serve(stream.unwrap(), step, fault, &held));
            }
        });
        Self { port, connections, _held: kept }
    }

    fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, step: &str, fault: Fault, held: &Sender<TcpStream>) {
    let mut output = stream.try_clone().unwrap();
    let greeting = std::iter::once("greeting".to_owned());
    let mut in_mail = false;
    for line in greeting.chain(BufReader::new(stream).lines().map_while(Result::ok)) {
        if in_mail && line != "." {
            continue;
        }
        in_mail = line == "DATA";
        if line.starts_with(step) {
            match fault {
                Fault::Silence => drop(held.send(output)),
                Fault::End => {}
                Fault::Endless => while output.write_all(&[b'2'; 65_536]).is_ok() {},
                Fault::Noise => drop(output.write_all(b"\xff\xfeHTTP/1.1 400 Bad Request\r\n\r\n")),
            }
            return;
        }
        let answer = match &*line {
            "greeting" => "220 faulty.test",
            "DATA" => "354 Go on",
            _ => "250 OK",
        };
        if output.write_all(format!("{answer}\r\n").as_bytes()).is_err() {
            return;
        }
    }
}

#[rstest]
fn a_silent_server_delays_nobody_and_its_mails_are_lost(
    #[values("greeting", "EHLO", "RCPT", "DATA", ".")] step: &'static str,
) {
    let server = Faulty::start(step, Fault::Silence, usize::MAX);
    let retry = Retry { timeout: Duration::from_millis(50), give_up_after: Duration::from_millis(300), ..FAST };
    let scene = Scene::start(&server.url(), retry);
    scene.send_to("ada@example.com");
    scene.wait_for(&lost("expired"), 1.0);
    assert!(scene.metric(&failed("timeout")) >= 2.0);
    assert_eq!(scene.metric(&sent()), 0.0);
    scene.wait_for("mails_queued", 0.0);
}

#[rstest]
fn a_mail_survives_a_server_that_fails_in_between(
    #[values("greeting", "EHLO", "MAIL", "DATA", ".")] step: &'static str,
    #[values(Fault::Silence, Fault::End, Fault::Noise, Fault::Endless)] fault: Fault,
) {
    let server = Faulty::start(step, fault, 2);
    let scene = Scene::start(&server.url(), Retry { timeout: Duration::from_millis(200), ..FAST });
    scene.send_to("ada@example.com");
    scene.wait_for(&sent(), 1.0);
    assert_eq!(server.connections(), 3);
    let reason = if fault == Fault::Silence { "timeout" } else { "broken" };
    assert_eq!(scene.metric(&failed(reason)), 2.0);
}

#[test]
fn a_full_queue_refuses_further_mails_and_counts_them() {
    // The port of a listener that is closed.
    let scene = Scene::start("smtp://127.0.0.1:1", FAST);
    let mut places: Vec<_> = (0..PLACES).map(|_| scene.mail.reserve().unwrap()).collect();
    assert_eq!(scene.mail.reserve().err(), Some(Full));
    scene.wait_for(&lost("queue_full"), 1.0);
    drop(places.pop());
    assert_eq!(scene.mail.queued(), PLACES - 1);
    assert!(scene.mail.reserve().is_ok());
    drop(places);
    assert_eq!(scene.mail.queued(), 0);
}

#[test]
fn a_stop_sends_the_waiting_mails_at_once() {
    let port = crate::support::free_port();
    let retry = Retry { first_pause: Duration::from_secs(3_600), give_up_after: Duration::from_secs(7_200), ..FAST };
    let scene = Scene::start(&format!("smtp://127.0.0.1:{port}"), retry);
    scene.send_to("ada@example.com");
    scene.wait_for(&failed("unreachable"), 1.0);
    let receiver = crate::receiver::Receiver::start_at(port);
    finish(&scene, Duration::from_secs(20));
    assert_eq!(receiver.mail()["envelope_to"][0], "ada@example.com");
    assert_eq!(scene.metric(&sent()), 1.0);
}

#[rstest]
#[case("smtp://127.0.0.1:1".to_owned(), Duration::from_secs(60))]
#[case(Faulty::start("RCPT", Fault::Silence, usize::MAX).url(), Duration::from_millis(300))]
fn a_stop_reports_the_mails_that_it_loses(#[case] url: String, #[case] limit: Duration) {
    let scene = Scene::start(&url, Retry { timeout: Duration::from_secs(3_600), ..FAST });
    for _ in 0..10 {
        scene.send_to("ada@example.com");
    }
    finish(&scene, limit);
    assert_eq!((scene.metric(&lost("stopped")), scene.metric("mails_queued")), (10.0, 0.0));
}

/// Stops, and checks that the stop does not take much longer than the limit.
fn finish(scene: &Scene, limit: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    runtime.block_on(scene.mail.finish(limit));
    assert!(start.elapsed() < limit + Duration::from_secs(1), "{:?}", start.elapsed());
}
