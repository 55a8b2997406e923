//! The record of the signing secrets. A replica whose secrets do not belong to those of the other replicas would answer
//! 401 to their users, so it must not start.

use std::sync::LazyLock;

use auth_service_token::SecretsCheck;
use redis::{RedisResult, Script, aio::MultiplexedConnection};

use super::{
    backend::{Backend, Primary},
    net::connection,
    script::script,
    slot,
};
use crate::{
    finding::{Finding, Verdict},
    secrets::{Fit, SecretsRecord},
};

static ENTER: LazyLock<Script> = script!("enter_secrets");

const CHECK: &str = "secrets";
const ADVICE: &str = "give all replicas the same secrets, and replace secrets in the steps of docs/secrets.md; to end \
     all sessions instead, run `auth-service secrets adopt` with the new secrets";

/// The connection to the server that has the record, and the name of the server.
struct Place {
    connection: MultiplexedConnection,
    name: String,
    key: String,
}

impl Backend {
    /// Compares signing secrets with the record.
    pub(crate) async fn compare_secrets(&self, ours: &SecretsCheck) -> Finding {
        let compared = async {
            let mut place = self.place_of_secrets().await?;
            let stored = place.read().await?;
            Ok(judge(&place.name, stored.as_deref(), ours).0)
        };
        compared.await.unwrap_or_else(|error| self.unreachable(self.address(), &error))
    }

    /// Compares signing secrets with the record, and replaces the record if a replica may start with these secrets.
    pub(crate) async fn enter_secrets(&self, ours: &SecretsCheck) -> Finding {
        self.try_to_enter(ours).await.unwrap_or_else(|error| self.unreachable(self.address(), &error))
    }

    async fn try_to_enter(&self, ours: &SecretsCheck) -> RedisResult<Finding> {
        let mut place = self.place_of_secrets().await?;
        loop {
            let stored = place.read().await?;
            let (finding, next) = judge(&place.name, stored.as_deref(), ours);
            let Some(next) = next else { return Ok(finding) };
            match place.enter(stored.as_deref(), &next).await {
                Ok(true) => return Ok(finding),
                // Another replica has started in the meantime, so its secrets count.
                Ok(false) => {}
                Err(error) if error.is_io_error() || error.is_timeout() => return Err(error),
                Err(error) => {
                    let seen = format!("the record of the secrets cannot be written now: {error}");
                    let advice = "restart a replica when the server accepts writes";
                    return Ok(Finding::new(&place.name, CHECK, Verdict::Warning, seen, advice));
                }
            }
        }
    }

    /// Replaces the record, whatever it holds.
    ///
    /// # Errors
    /// A sentence that says why Redis does not take the record.
    pub(crate) async fn adopt_secrets(&self, ours: &SecretsCheck) -> Result<(), String> {
        let adopted = async {
            let Place { mut connection, key, .. } = self.place_of_secrets().await?;
            redis::cmd("SET").arg(key).arg(SecretsRecord::write(None, ours)).query_async(&mut connection).await
        };
        adopted.await.map_err(|error| self.unreachable(self.address(), &error).seen)
    }

    async fn place_of_secrets(&self) -> RedisResult<Place> {
        let key = self.shared.keys.secrets();
        let slot = slot::slot_of(&key);
        let has_it = |primary: &Primary| {
            primary.slots.is_empty() || primary.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
        };
        let Some(Primary { server, .. }) = self.primaries().await?.into_iter().find(has_it) else {
            return Err(std::io::Error::other(format!("no primary serves the slot of {key}")).into());
        };
        let connection = connection::connect_once(&server).await?;
        Ok(Place { connection, name: server.addr().to_string(), key })
    }
}

impl Place {
    async fn read(&mut self) -> RedisResult<Option<Vec<u8>>> {
        redis::cmd("GET").arg(&self.key).query_async(&mut self.connection).await
    }

    /// Whether the record was still `stored`, and is now `next`.
    async fn enter(&mut self, stored: Option<&[u8]>, next: &[u8]) -> RedisResult<bool> {
        let mut call = ENTER.key(&self.key);
        call.arg(stored.unwrap_or_default()).arg(next).invoke_async(&mut self.connection).await
    }
}

/// The finding about the stored record, and the record to write if it differs and a replica with `ours` may start.
fn judge(place: &str, stored: Option<&[u8]>, ours: &SecretsCheck) -> (Finding, Option<Vec<u8>>) {
    let finding = |verdict, seen: String, advice| Finding::new(place, CHECK, verdict, seen, advice);
    let Some(json) = stored else {
        let seen = "no replica has recorded its secrets yet".to_owned();
        return (finding(Verdict::Ok, seen, ""), Some(SecretsRecord::write(None, ours)));
    };
    let Ok(record) = SecretsRecord::read(json) else {
        let seen = "the record of the secrets is of a later version or cannot be read".to_owned();
        let advice = "check by hand that all replicas have the same secrets";
        return (finding(Verdict::Warning, seen, advice), None);
    };
    let next = |record| Some(SecretsRecord::write(Some(record), ours)).filter(|next| next != json);
    match record.fit(ours) {
        (Fit::Both, _) => {
            (finding(Verdict::Ok, "the replicas accept each other's tokens".to_owned(), ""), next(record))
        }
        (Fit::OursUnknown, name) => {
            let seen = format!("the replica that started last did not accept tokens of this {name}");
            let advice = "replicas that still have its settings answer 401 to these tokens: replace secrets in the \
                          steps of docs/secrets.md";
            (finding(Verdict::Warning, seen, advice), next(record))
        }
        (Fit::TheirsUnknown, name) => {
            let seen = format!("this server does not accept tokens of the {name} of the replica that started last");
            (finding(Verdict::Refusal, seen, ADVICE), None)
        }
    }
}
