//! The floors: the minimum cost of a `GET /user` with the crates that we chose, in three shapes of runtime. Each floor
//! is a process of its own, started as `load floor FLOOR SHAPE REDIS_URL`, with the allocator and build profile of the
//! server.

use std::{
    convert::Infallible,
    io::{self, Write},
    net::TcpListener as StdListener,
    str::FromStr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use auth_service_token::{Claims, SeenTokens, Tokens};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
    routing::get,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use redis::aio::MultiplexedConnection;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    runtime,
    sync::mpsc,
};
use tower::Service;

use crate::scene::{ACCESS_SECRET, REFRESH_SECRET, unix_seconds};

/// A body that is as long as the body of the server.
const BODY: &str = r#"{"data":{"email":"user-00000000@example.com","id":"6fe129f0-bb9d-4549-8835-14d0912932b0","created_at":"2026-11-23T06:52:51Z"},"result":"User profile fetched successfully","status":200}"#;

/// The work for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floor {
    /// Verify the signature.
    Verify,
    /// Verify the signature, and MGET the two keys of the token.
    Mget,
}

/// The shape of the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A current-thread runtime for each core. One thread accepts and hands connections over in turn.
    PerCore,
    /// A current-thread runtime for each core, each with its own listener (SO_REUSEPORT).
    ReusePort,
    /// One multi-thread runtime.
    MultiThread,
}

impl Floor {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Mget => "mget",
        }
    }
}

impl Shape {
    pub(crate) const ALL: [Self; 3] = [Self::PerCore, Self::ReusePort, Self::MultiThread];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::PerCore => "per-core",
            Self::ReusePort => "reuse-port",
            Self::MultiThread => "multi-thread",
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|shape| shape.word() == word).ok_or_else(|| format!("no shape {word}"))
    }
}

/// The parts of one runtime. The threads of the multi-thread runtime share them.
struct Parts {
    tokens: Tokens,
    seen: SeenTokens,
    connection: Option<MultiplexedConnection>,
}

async fn user(State(parts): State<Arc<Parts>>, request: Request) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = match check(&parts, request.headers()).await {
        Some(true) => StatusCode::OK,
        _ => StatusCode::UNAUTHORIZED,
    };
    *response.body_mut() = Body::from(BODY);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn check(parts: &Parts, headers: &HeaderMap) -> Option<bool> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let Claims { tag, sid, .. } = parts.tokens.access.verify(token, unix_seconds(), &parts.seen).ok()?;
    let Some(connection) = &parts.connection else { return Some(true) };
    type Found = Option<Vec<u8>>;
    let mut mget = redis::cmd("MGET");
    mget.arg(format!("as:{{{tag}}}:e")).arg(format!("as:{{{tag}}}:a:{sid}"));
    let (epoch, access): (Found, Found) = mget.query_async(&mut connection.clone()).await.ok()?;
    Some(epoch.is_some() && access.is_some())
}

async fn router(redis: Option<&str>) -> Router {
    let connection = match redis {
        Some(url) => Some(redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()),
        None => None,
    };
    let tokens = Tokens::new(ACCESS_SECRET.as_bytes(), REFRESH_SECRET.as_bytes());
    let ready = get(|| async { "ready" });
    let router = Router::new().route("/user", get(user)).route("/readyz", ready);
    router.with_state(Arc::new(Parts { tokens, seen: SeenTokens::default(), connection }))
}

async fn serve_connection(stream: TcpStream, router: Router) {
    stream.set_nodelay(true).unwrap();
    let call = move |request: hyper::Request<Incoming>| {
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(router.call(request).await.unwrap()) }
    };
    // An error means that the client has closed the connection at the end of its load.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(call)).await;
}

/// Prints the port when the server is ready, then serves until the process is killed.
pub(crate) fn serve(floor: &str, shape: Shape, redis: &str) {
    let redis = (floor == Floor::Mget.word()).then(|| redis.to_owned());
    let cores = thread::available_parallelism().unwrap().get();
    let say = |port: u16| {
        println!("{port}");
        io::stdout().flush().unwrap();
    };
    match shape {
        Shape::MultiThread => runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
            let router = router(redis.as_deref()).await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            say(listener.local_addr().unwrap().port());
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve_connection(stream, router.clone()));
            }
        }),
        Shape::PerCore => {
            let workers: Vec<_> = (0..cores).map(|_| worker(redis.clone())).collect();
            let listener = StdListener::bind("127.0.0.1:0").unwrap();
            say(listener.local_addr().unwrap().port());
            for worker in workers.iter().cycle() {
                let (stream, _) = listener.accept().unwrap();
                stream.set_nonblocking(true).unwrap();
                worker.send(stream).unwrap();
            }
        }
        Shape::ReusePort => {
            let bind = |port: u16| {
                let socket = TcpSocket::new_v4().unwrap();
                socket.set_reuseport(true).unwrap();
                socket.bind(([127, 0, 0, 1], port).into()).unwrap();
                socket
            };
            let first = bind(0);
            let port = first.local_addr().unwrap().port();
            let sockets = std::iter::once(first).chain((1..cores).map(|_| bind(port)));
            let threads: Vec<_> = sockets.map(|socket| listening_worker(socket, redis.clone())).collect();
            say(port);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }
}

fn worker(redis: Option<String>) -> mpsc::UnboundedSender<std::net::TcpStream> {
    let (sender, mut streams) = mpsc::unbounded_channel();
    thread::spawn(move || {
        on_one_thread(async move {
            let router = router(redis.as_deref()).await;
            while let Some(stream) = streams.recv().await {
                tokio::spawn(serve_connection(TcpStream::from_std(stream).unwrap(), router.clone()));
            }
        });
    });
    sender
}

fn listening_worker(socket: TcpSocket, redis: Option<String>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        on_one_thread(async move {
            let router = router(redis.as_deref()).await;
            let listener = socket.listen(1024).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve_connection(stream, router.clone()));
            }
        });
    })
}

fn on_one_thread(work: impl Future<Output = ()>) {
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

/// The number of argon2 hashes per second with the default parameters of the server, on one thread for each core.
pub(crate) fn hashes_per_second(seconds: u64) -> f64 {
    let cores = thread::available_parallelism().unwrap().get();
    let until = Instant::now() + Duration::from_secs(seconds);
    let start = Instant::now();
    let count = thread::scope(|scope| {
        let hash = || {
            let params = Params::new(19_456, 2, 1, None).unwrap();
            let mut memory = vec![Block::default(); params.block_count()];
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let (mut output, mut count) = ([0; 32], 0_u32);
            while Instant::now() < until {
                argon2
                    .hash_password_into_with_memory(b"correct horse", b"sixteen bytes...", &mut output, &mut memory)
                    .unwrap();
                count += 1;
            }
            count
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(hash)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>()
    });
    f64::from(count) / start.elapsed().as_secs_f64()
}
