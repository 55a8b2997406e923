//! A network between the server and Redis. It can drop all bytes of a connection and keep the connection open.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// Forwards connections to Redis.
pub(crate) struct Proxy {
    port: u16,
    generation: Arc<AtomicU64>,
    cut_off: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn start(redis: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let proxy =
            Self { port: listener.local_addr().unwrap().port(), generation: Arc::default(), cut_off: Arc::default() };
        let (generation, cut_off) = (Arc::clone(&proxy.generation), Arc::clone(&proxy.cut_off));
        // This thread ends with the test process, and each forwarding thread ends with its connection.
        thread::spawn(move || {
            let mut unheard = Vec::new();
            for client in listener.incoming().map_while(Result::ok) {
                if cut_off.load(Ordering::SeqCst) {
                    unheard.push(client);
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", redis)) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let generation = Arc::clone(&generation);
                    thread::spawn(move || forward(from, to, &generation));
                }
            }
        });
        proxy
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Drops all bytes on the connections that are open now, and keeps the connections open.
    pub(crate) fn forget_connections(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Drops all bytes, on open connections and on new ones.
    pub(crate) fn cut_off(&self) {
        self.cut_off.store(true, Ordering::SeqCst);
        self.forget_connections();
    }

    /// Forwards new connections again.
    pub(crate) fn mend(&self) {
        self.cut_off.store(false, Ordering::SeqCst);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, generation: &AtomicU64) {
    let born = generation.load(Ordering::SeqCst);
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if generation.load(Ordering::SeqCst) == born && to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // A network that is cut does not deliver the end of a connection either.
    if generation.load(Ordering::SeqCst) == born {
        let _ = to.shutdown(Shutdown::Both);
    }
}
