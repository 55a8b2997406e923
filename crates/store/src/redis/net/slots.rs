//! Asks the nodes of a cluster which primary serves which slots.

use redis::{ConnectionAddr, FromRedisValue, RedisError, RedisResult, Value};
use tokio::{task::JoinSet, time::timeout};

use super::{
    address::Address,
    connection::{self, RESPONSE_TIMEOUT, timed_out},
    request::Request,
    server::Server,
};

pub(super) const NO_SLOTS: &str = "the cluster has no slots yet; redis-cli --cluster create HOST:PORT... assigns them";

/// Ranges of slots in ascending order: the first slot, the last slot, and the host and port of their primary.
pub(in crate::redis) type Ranges = Vec<(u16, u16, String, u16)>;

/// The most common answer, because a node that has lost contact with the other nodes still answers with an old table.
/// `None` if no answer has slots.
pub(in crate::redis) fn agreed(answers: Vec<Ranges>) -> Option<Ranges> {
    let answers: Vec<_> = answers.into_iter().filter(|ranges| !ranges.is_empty()).collect();
    let votes = |ranges: &Ranges| answers.iter().filter(|other| *other == ranges).count();
    // The last answer wins a tie. No other choice is better, and the table is read again soon.
    answers.iter().max_by_key(|ranges| votes(ranges)).cloned()
}

/// The most common answer of the seeds of an address.
///
/// # Errors
/// The first error if no seed has answered. Otherwise an error that says that the cluster has no slots.
pub(in crate::redis) async fn locate(address: &Address) -> RedisResult<Ranges> {
    let mut questions: JoinSet<_> = address.seeds.iter().cloned().map(|seed| async move { ask(&seed).await }).collect();
    let (mut answers, mut failure) = (Vec::new(), None);
    while let Some(answer) = questions.join_next().await {
        match answer {
            Ok(Ok(ranges)) => answers.push(ranges),
            Ok(Err(error)) => failure = failure.or(Some(error)),
            Err(_) => {}
        }
    }
    let asked = !answers.is_empty();
    match (agreed(answers), failure) {
        (Some(ranges), _) => Ok(ranges),
        (None, Some(error)) if !asked => Err(error),
        _ => Err(RedisError::from(std::io::Error::other(NO_SLOTS))),
    }
}

/// Asks a node on a new connection.
pub(in crate::redis) async fn ask(server: &Server) -> RedisResult<Ranges> {
    let asking = async {
        let mut connection = connection::connect_once(server).await?;
        let answer = request().send(&mut connection, false).await?;
        parse(redis::from_redis_value(answer)?, host_of(server.addr()))
    };
    timeout(RESPONSE_TIMEOUT, asking).await.unwrap_or_else(|_| Err(timed_out()))
}

pub(in crate::redis) fn request() -> Request<'static> {
    Request::command("CLUSTER").arg("SLOTS")
}

fn host_of(addr: &ConnectionAddr) -> &str {
    match addr {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
        _ => "localhost",
    }
}

/// Parses the answer to [`request`] from the node at `asked`.
pub(in crate::redis) fn parse(rows: Vec<Vec<Value>>, asked: &str) -> RedisResult<Ranges> {
    let pick = |values: Vec<Value>, count| Value::Array(values.into_iter().take(count).collect());
    let row = |row: Vec<Value>| {
        let (first, last, primary) = <(u16, u16, Vec<Value>)>::from_redis_value(pick(row, 3))?;
        let (host, port) = <(Option<String>, u16)>::from_redis_value(pick(primary, 2))?;
        // A node that does not know its own address omits the host. The row is then about the node that was asked.
        let host = host.filter(|host| !host.is_empty() && host != "?").unwrap_or_else(|| asked.to_owned());
        Ok((first, last, host, port))
    };
    let mut ranges = rows.into_iter().map(row).collect::<RedisResult<Ranges>>()?;
    ranges.sort_unstable();
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(first_owner: u16) -> Ranges {
        vec![(0, 8_191, "a".to_owned(), first_owner), (8_192, 16_383, "b".to_owned(), 1)]
    }

    #[test]
    fn one_node_with_an_old_map_decides_nothing_wherever_it_stands() {
        for answers in [[2, 1, 1], [1, 2, 1], [1, 1, 2]] {
            assert_eq!(agreed(answers.map(ranges).to_vec()), Some(ranges(1)));
        }
        assert_eq!(
            agreed(vec![Vec::new(), Vec::new(), ranges(2)]),
            Some(ranges(2)),
            "nodes without slots know nothing"
        );
        assert_eq!(agreed(vec![Vec::new()]), None);
    }
}
