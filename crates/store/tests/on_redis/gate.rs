//! A network between a store and its server, which can lose the call of a script, or the answer to it.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use auth_service_records::clock::Clock;
use auth_service_store::Store;
use tempfile::TempDir;

use crate::scene::{POLICY, connect, url, wait_for};

/// What a gate loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The call never reaches the server, unless [`Gate::deliver`] delivers it late.
    Call,
    /// The server runs the script, and the store does not hear of it.
    Answer,
}

/// The network of one store.
pub(crate) struct Gate {
    pub(crate) store: Store,
    network: Arc<Network>,
    server: PathBuf,
    _directory: TempDir,
}

/// What to lose once.
struct Plan {
    /// The hash of the script.
    hash: String,
    /// How many calls of the script to leave alone before.
    spared: usize,
    loss: Loss,
}

#[derive(Default)]
struct Network {
    plan: Mutex<Option<Plan>>,
    /// The last call that was lost.
    lost: Mutex<Vec<u8>>,
}

impl Gate {
    /// Connects a store to the server that listens at the Unix socket `server`.
    pub(crate) async fn start(server: PathBuf) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = url(&directory);
        let listener = UnixListener::bind(url.trim_start_matches("unix://")).unwrap();
        let network = Arc::new(Network::default());
        let (shared, to) = (Arc::clone(&network), server.clone());
        // This thread ends with the test process, and each forwarding thread ends with its connection.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = UnixStream::connect(&to) else { continue };
                forward(client, server, &shared);
            }
        });
        let store = connect(&url, POLICY, Clock::new()).await;
        wait_for(&store).await;
        Self { store, network, server, _directory: directory }
    }

    /// Loses a call of the script with this hash, or the answer, and then closes the connection. Leaves the first
    /// `spared` calls alone.
    pub(crate) fn lose(&self, script: &str, spared: usize, loss: Loss) {
        *self.network.plan.lock().unwrap() = Some(Plan { hash: script.to_owned(), spared, loss });
    }

    /// Forgets what was planned, and what was lost.
    pub(crate) fn lose_nothing(&self) {
        *self.network.plan.lock().unwrap() = None;
        self.network.lost.lock().unwrap().clear();
    }

    /// Like [`Gate::deliver`], if a call was lost.
    pub(crate) fn deliver_if_lost(&self) {
        if !self.network.lost.lock().unwrap().is_empty() {
            self.deliver();
        }
    }

    /// Whether nothing is left to lose.
    pub(crate) fn has_lost(&self) -> bool {
        self.network.plan.lock().unwrap().is_none()
    }

    /// Delivers the call that was lost, and waits for its answer.
    pub(crate) fn deliver(&self) -> String {
        let call = std::mem::take(&mut *self.network.lost.lock().unwrap());
        assert!(!call.is_empty());
        let mut server = UnixStream::connect(&self.server).unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        server.write_all(&call).unwrap();
        let mut answer = [0; 1024];
        let count = server.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..count]).trim_end().to_owned()
    }
}

fn forward(client: UnixStream, server: UnixStream, network: &Arc<Network>) {
    let is_muted = Arc::new(AtomicBool::new(false));
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let muted = Arc::clone(&is_muted);
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if muted.load(Ordering::SeqCst) || to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        close(&from, &to);
    });
    let (mut from, mut to, network) = (client, server, Arc::clone(network));
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..count];
            match network.loss_of(bytes) {
                Some(Loss::Call) => {
                    *network.lost.lock().unwrap() = bytes.to_vec();
                    break;
                }
                Some(Loss::Answer) => is_muted.store(true, Ordering::SeqCst),
                None => {}
            }
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        if !is_muted.load(Ordering::SeqCst) {
            close(&from, &to);
        }
    });
}

impl Network {
    fn loss_of(&self, bytes: &[u8]) -> Option<Loss> {
        let mut plan = self.plan.lock().unwrap();
        let Plan { hash, spared, loss } = plan.as_mut()?;
        if !bytes.windows(hash.len()).any(|window| window == hash.as_bytes()) {
            return None;
        }
        if *spared > 0 {
            *spared -= 1;
            return None;
        }
        let loss = *loss;
        *plan = None;
        Some(loss)
    }
}

fn close(one: &UnixStream, other: &UnixStream) {
    let _ = (one.shutdown(Shutdown::Both), other.shutdown(Shutdown::Both));
}
