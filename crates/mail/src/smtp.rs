//! One try to deliver a mail: connect, TLS, login, send.

use std::{io, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::ClientId,
    },
};
use tokio::time::timeout;

use crate::{
    failure::{Failure, Reason, Step},
    letter::Letter,
    sender::Sender,
    server::{Encryption, SmtpServer},
    stream::Bounded,
};

/// The server, with what each connection needs.
pub(crate) struct Smtp {
    server: SmtpServer,
    sender: Address,
    /// The name that the server shows to the SMTP server: the domain of the sender. The name of a container means
    /// nothing to others, and some SMTP servers refuse names without an entry in DNS.
    name: ClientId,
    tls: Option<TlsParameters>,
}

impl Smtp {
    /// Reads the certificates that the system trusts, unless the connections have no TLS. `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` in the environment replace the system's.
    pub(crate) fn new(server: SmtpServer, sender: &Sender) -> io::Result<Self> {
        let tls = match server.encryption {
            Encryption::Off => None,
            Encryption::Tls | Encryption::StartTls => {
                Some(TlsParameters::new_rustls(server.host.clone()).map_err(io::Error::other)?)
            }
        };
        let sender = sender.address().clone();
        Ok(Self { server, name: ClientId::Domain(sender.domain().to_owned()), sender, tls })
    }

    /// Delivers a mail within `limit`.
    pub(crate) async fn deliver(&self, letter: &Letter, limit: Duration) -> Result<(), Failure> {
        within(limit, self.send(letter)).await
    }

    async fn send(&self, letter: &Letter) -> Result<(), Failure> {
        let mut connection = self.connect().await?;
        let of_mail = |error| Failure::of(Step::Mail, &error);
        connection.command(Mail::new(Some(self.sender.clone()), Vec::new())).await.map_err(of_mail)?;
        let recipient = connection.command(Rcpt::new(letter.to.clone(), Vec::new())).await;
        recipient.map_err(|error| Failure::of(Step::Recipient, &error))?;
        connection.command(Data).await.map_err(of_mail)?;
        connection.message(&letter.bytes).await.map_err(of_mail)?;
        // The server has the mail, so neither an error nor a slow answer matters any more.
        let _ = timeout(Duration::from_secs(1), connection.quit()).await;
        Ok(())
    }

    /// Connects and logs in.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let Self { server, name, tls, .. } = self;
        let address = (&*server.host, server.port);
        let mut connection = if server.encryption == Encryption::Tls {
            let connection = AsyncSmtpConnection::connect_tokio1(address, None, name, tls.clone(), None).await;
            connection.map_err(|error| Failure::of(Step::ConnectByTls, &error))?
        } else {
            let stream = Bounded::connect(address).await;
            let stream = stream.map_err(|error| Failure::new(Reason::Unreachable, error.to_string()))?;
            let connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), name).await;
            connection.map_err(|error| Failure::of(Step::Connect, &error))?
        };
        if let Some(tls) = tls.clone().filter(|_| server.encryption == Encryption::StartTls) {
            connection.starttls(tls, name).await.map_err(|error| Failure::of(Step::StartTls, &error))?;
        }
        if let Some(login) = &server.login {
            let credentials = Credentials::new(login.user.clone(), login.password.expose().to_owned());
            let answer = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            answer.map_err(|error| Failure::of(Step::Login, &error))?;
        }
        Ok(connection)
    }
}

async fn within<T>(limit: Duration, step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = || Failure::new(Reason::Timeout, format!("no answer within {} s", limit.as_secs_f64()));
    timeout(limit, step).await.unwrap_or_else(|_| Err(late()))
}

/// Connects to the server and logs in, within `limit`, and sends no mail.
///
/// # Errors
/// A sentence that says why the server takes no mail. It contains no text of the server.
pub async fn probe(server: &SmtpServer, sender: &Sender, limit: Duration) -> Result<(), String> {
    let smtp = Smtp::new(server.clone(), sender).map_err(|error| error.to_string())?;
    let connected = within(limit, smtp.connect()).await;
    let mut connection = connected.map_err(|failure| failure.to_string())?;
    let _ = timeout(Duration::from_secs(1), connection.quit()).await;
    Ok(())
}
