//! The use cases, one method each. They know neither HTTP nor the driver of a store.
//!
//! | file | what is in it |
//! |---|---|
//! | `service` | [`Auth`] and the parts that it is made of |
//! | `authorize` | the caller of a protected request: access token, renewal |
//! | `guard` | guesses at a password and calls of one address, under their limits |
//! | `accounts`, `sessions`, `tokens` | the use cases |

mod accounts;
mod authorize;
mod guard;
mod service;
mod sessions;
mod tokens;

pub use self::{
    authorize::{Authorization, Authorized},
    service::{Auth, Parts},
    sessions::SessionList,
    tokens::{RefreshedTokens, SignedIn},
};
