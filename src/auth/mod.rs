//! The use cases, one method each. They know neither HTTP nor the driver of a store.
//!
//! | file | contents |
//! |---|---|
//! | `service` | [`Auth`] and its parts |
//! | `authorize` | the caller of a protected request: access token, renewal |
//! | `guard` | the limits on guesses at a password, and on calls from one address |
//! | `identity` | the answer to a proxy that asks who sends a request |
//! | `accounts`, `introspection`, `sessions`, `tokens` | the use cases |
//! | `record` | the record of a security event |
//! | `mail_queue` | the queue of mails, and its settings |
//! | `mails` | the use cases by mail: forgotten password, verification and change of an address |
//! | `sign_in`, `second_factor` | the use cases of a sign-in, and those of the second factor |
//! | `revocations` | the feed of revocations, and the task that reads it |

mod accounts;
mod authorize;
mod guard;
mod identity;
mod introspection;
mod mail_queue;
mod mails;
mod record;
mod revocations;
mod second_factor;
mod service;
mod sessions;
mod sign_in;
mod tokens;

pub use self::{
    authorize::{Authorization, Authorized},
    identity::Identity,
    introspection::Introspection,
    mail_queue::Mails,
    mails::Confirmed,
    revocations::{RevocationFeed, Revocations},
    second_factor::Enrolment,
    service::{Auth, Parts},
    sessions::SessionList,
    sign_in::SignedIn,
    tokens::RefreshedTokens,
};
