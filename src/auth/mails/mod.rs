//! Mails to users.
//!
//! | file | contents |
//! |---|---|
//! | `settings` | the sender of mails, and the settings of the use cases by mail |

mod settings;

pub use self::settings::Mails;
