//! Ports that are free and stay free until a test uses them.

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// How far above its own port a cluster node listens for other nodes.
pub(crate) const BUS: u16 = 10_000;

/// A free port from 10,000 to 19,999, a different one each time. The system does not use these ports for outgoing
/// connections, so no connection takes the port before the test does. Ports from 20,000 are for the buses of cluster
/// nodes.
pub(crate) fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(process::id().wrapping_mul(97)));
    loop {
        let port = 10_000 + (NEXT.fetch_add(1, Ordering::Relaxed) % 10_000) as u16;
        if is_free(port) {
            return port;
        }
    }
}

/// A free port whose bus port is free, too.
pub(crate) fn free_port_of_a_node() -> u16 {
    loop {
        let port = free_port();
        if is_free(port + BUS) {
            return port;
        }
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
