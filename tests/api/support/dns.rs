//! A name server on loopback, like the name server of a container network.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, Weak},
    thread,
    time::Duration,
};

const A: [u8; 2] = [0, 1];

/// Answers a query for any name with the same addresses. Stops soon after it is dropped.
pub(crate) struct NameServer {
    address: SocketAddr,
    addresses: Arc<Mutex<Vec<Ipv4Addr>>>,
}

impl NameServer {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let addresses = Arc::default();
        let (address, known) = (socket.local_addr().unwrap(), Arc::downgrade(&addresses));
        thread::spawn(move || serve(&socket, &known));
        Self { address, addresses }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn add(&self, address: Ipv4Addr) {
        self.addresses.lock().unwrap().push(address);
    }

    pub(crate) fn remove(&self, address: Ipv4Addr) {
        self.addresses.lock().unwrap().retain(|known| *known != address);
    }
}

fn serve(socket: &UdpSocket, addresses: &Weak<Mutex<Vec<Ipv4Addr>>>) {
    let mut query = [0; 512];
    while let Some(addresses) = addresses.upgrade() {
        let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
        let answer = answer(&query[..length], &addresses.lock().unwrap());
        socket.send_to(&answer, from).unwrap();
    }
}

/// RFC 1035, section 4: the question, and for type A a record for each address.
fn answer(query: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
    const HEADER: usize = 12;
    let name_end = HEADER + query[HEADER..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let addresses = if query[name_end..name_end + 2] == A { addresses } else { &[] };
    let mut answer = query[..2].to_vec();
    // A response without an error, with recursion. It has one question, and an answer for each address.
    answer.extend([0x81, 0x80, 0, 1, 0, u8::try_from(addresses.len()).unwrap(), 0, 0, 0, 0]);
    answer.extend(&query[HEADER..name_end + 4]);
    for address in addresses {
        // A pointer to the name in the question, type A, class IN, a TTL of 0, a length of four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}
