//! The operations on the limits. `limits.rs` of the store has their contracts.

use std::sync::LazyLock;

use auth_service_records::{
    error::Error,
    throttle::{self, Admission, Counter, Limit},
};
use auth_service_token::Id;
use redis::Script;

use super::{net::request::Request, script::script, store::Redis};

static ADMIT_GUESS: LazyLock<Script> = script!("admit_guess");
static WITHDRAW_GUESS: LazyLock<Script> = script!("withdraw_guess");
static COUNT_CALL: LazyLock<Script> = script!("count_call");
static UNCOUNT_CALL: LazyLock<Script> = script!("uncount_call");

impl Redis {
    pub(crate) async fn admit_guess(&self, tag: Id, known: Option<Id>) -> Result<Admission, Error> {
        let call = Request::call(&ADMIT_GUESS, &[self.keys().failures(tag, known)])
            .arg(throttle::FREE_FAILURES)
            .arg(throttle::LONGEST_WAIT_SECONDS)
            .arg(throttle::MOST_FAILURES)
            .arg(throttle::FORGET_SECONDS);
        Ok(match self.run(tag, &call).await? {
            0 => Admission::Admitted,
            seconds => Admission::Wait(seconds),
        })
    }

    pub(crate) async fn withdraw_guess(&self, tag: Id, known: Option<Id>) -> Result<(), Error> {
        self.run(tag, &Request::call(&WITHDRAW_GUESS, &[self.keys().failures(tag, known)])).await
    }

    pub(crate) async fn count_call(&self, counter: Counter, address: Id, limit: Limit) -> Result<Option<u64>, Error> {
        if limit.count == 0 {
            return Ok(None);
        }
        let call = Request::call(&COUNT_CALL, &[self.keys().counter(counter, address)]);
        let wait: u64 = self.run(address, &call.arg(limit.count).arg(limit.seconds)).await?;
        Ok((wait > 0).then_some(wait))
    }

    pub(crate) async fn uncount_call(&self, counter: Counter, address: Id) -> Result<(), Error> {
        self.run(address, &Request::call(&UNCOUNT_CALL, &[self.keys().counter(counter, address)])).await
    }
}
