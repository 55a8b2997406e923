//! The use cases by mail.
//!
//! Each mail has a link with a token, and the store has the digest of the token with a TTL. The token is spent by POST
//! only, because programs that look at mails follow links.
//!
//! | file | contents |
//! |---|---|
//! | `entry` | what the store keeps of a token |
//! | `sending` | the limits on mails, and the sending of links and notices |
//! | `spending` | the check of a token that a client sends |
//! | `password`, `verification`, `change` | the use cases |

mod change;
mod entry;
mod password;
mod sending;
mod spending;
mod verification;

pub use self::spending::Confirmed;
