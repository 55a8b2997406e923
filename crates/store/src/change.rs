//! A change of an account.

use auth_service_records::user::User;
use auth_service_token::Id;

use crate::record::StoredUser;

/// A change of an account, see [`crate::Store::keep_only`].
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The account as it was read.
    pub expected: &'a StoredUser,
    /// The account after the change.
    pub user: &'a User,
    /// The address of the caller, if the account knows it.
    pub known: Option<Id>,
}
