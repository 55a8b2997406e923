//! A network between a verifier and the server that counts requests and can block some of them.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Forwards connections to the server.
pub(super) struct Filter {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    blocked: Option<&'static str>,
    /// The first line of each request.
    requests: Vec<String>,
}

impl Filter {
    pub(super) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<Mutex<State>>::default();
        let filter = Self { port, state: Arc::clone(&state) };
        // This thread ends with the test process, and each forwarding thread ends with its connection.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || {
                    // Either side may have closed its connection.
                    let _ = io::copy(&mut answers, &mut back);
                    let _ = back.shutdown(Shutdown::Both);
                });
                let state = Arc::clone(&state);
                thread::spawn(move || forward(client, server, &state));
            }
        });
        filter
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Closes each connection on which a request begins with `start`, such as `GET /revocations`.
    pub(super) fn block(&self, start: &'static str) {
        lock(&self.state).blocked = Some(start);
    }

    pub(super) fn unblock(&self) {
        lock(&self.state).blocked = None;
    }

    /// How many requests began with `start` so far.
    pub(super) fn count(&self, start: &str) -> usize {
        lock(&self.state).requests.iter().filter(|line| line.starts_with(start)).count()
    }
}

/// A test that has failed leaves a usable state.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The verifier waits for each answer, and its requests are small. So each read is one request.
fn forward(mut client: TcpStream, mut server: TcpStream, state: &Mutex<State>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..count]);
        let line = text.lines().next().unwrap_or_default().to_owned();
        let blocked = {
            let mut state = lock(state);
            let blocked = state.blocked.is_some_and(|start| line.starts_with(start));
            state.requests.push(line);
            blocked
        };
        if blocked || server.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other side may have closed the connections.
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}
