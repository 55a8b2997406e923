//! A proxy that serves a server below a path.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

/// Passes the requests below `path` on to the server at `port`, without this part of their path. Returns the port of the
/// proxy, which ends with the test process.
pub(crate) fn serve_below(path: &'static str, port: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let own_port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || pass_on(client, path, port));
        }
    });
    own_port
}

/// Passes one request on. The browser opens a connection for each request, because the server closes each connection.
fn pass_on(client: TcpStream, path: &str, port: u16) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    let mut reader = BufReader::new(client.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    // A request for another path gets no answer.
    let (method, target) = line.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
    let target = target.strip_prefix(path).ok_or(io::ErrorKind::NotFound)?;
    write!(server, "{method} {target}")?;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match &*line {
            "\r\n" | "" => break,
            "Connection: keep-alive\r\n" => server.write_all(b"Connection: close\r\n")?,
            _ => server.write_all(line.as_bytes())?,
        }
    }
    server.write_all(b"\r\n")?;
    let mut answers = server.try_clone()?;
    thread::spawn(move || {
        let mut client = client;
        // The browser may have closed the connection.
        let _ = io::copy(&mut answers, &mut client);
        let _ = client.shutdown(Shutdown::Both);
    });
    io::copy(&mut reader, &mut server).map(drop)
}
