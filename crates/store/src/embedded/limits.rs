//! The limits on guesses and calls, counted in memory.

use auth_service_records::throttle::{Admission, Counter, Limit};
use auth_service_token::Id;

use super::store::Embedded;

impl Embedded {
    pub(crate) fn admit_guess(&self, tag: Id, known: Option<Id>) -> Admission {
        self.counts.admit_guess(tag, known)
    }

    pub(crate) fn withdraw_guess(&self, tag: Id, known: Option<Id>) {
        self.counts.withdraw_guess(tag, known);
    }

    pub(crate) fn count_call(&self, counter: Counter, address: Id, limit: Limit) -> Option<u64> {
        self.counts.count_call(counter, address, limit)
    }

    pub(crate) fn uncount_call(&self, counter: Counter, address: Id) {
        self.counts.uncount_call(counter, address);
    }
}
