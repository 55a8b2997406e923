//! Looks up the host of the URL, and passes on only addresses that are allowed. The connection goes to one of these
//! addresses, and nobody looks the name up again, so a name whose address changes between the check and the connection
//! (DNS rebinding) gains nothing.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::net::lookup_host;
use tower_service::Service;

use crate::address::is_public;

/// The name has no address that is allowed.
#[derive(Debug)]
pub(crate) struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host has only addresses of private networks, which WEBHOOK_ALLOW_PRIVATE=off forbids")
    }
}

impl std::error::Error for NotPublic {}

#[derive(Clone)]
pub(crate) struct Resolver {
    pub(crate) allow_private: bool,
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<_> = found.filter(|found| allow_private || is_public(found.ip())).collect();
            if allowed.is_empty() { Err(io::Error::other(NotPublic)) } else { Ok(allowed.into_iter()) }
        })
    }
}
