//! A load balancer without health checks, so that pages meet each replica that is down.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

/// Forwards each connection to the next of these ports. Returns the port of the load balancer, which ends with the test
/// process.
pub(crate) fn balance(replicas: Vec<u16>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (client, replica) in listener.incoming().map_while(Result::ok).zip(replicas.into_iter().cycle()) {
            // A client whose replica is down loses its connection.
            if let Ok(server) = TcpStream::connect(("127.0.0.1", replica)) {
                forward(client.try_clone().unwrap(), server.try_clone().unwrap());
                forward(server, client);
            }
        }
    });
    port
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // Either end may have gone.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
