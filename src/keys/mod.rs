//! The ES256 keys of the server: those that the servers make themselves and keep in the store, or those of
//! `SIGNING_KEY_FILE`.
//!
//! | file | contents |
//! |---|---|
//! | `start` | the keys at the start of the server |
//! | `stored` | the task that reads the keys from the store, makes new ones, and ends old ones |
//! | `file` | the task that reads the file again |
//! | `pem` | keys in PEM |

mod file;
pub(crate) mod pem;
mod start;
mod stored;

pub(crate) use self::{
    start::{Starting, start},
    stored::FIRST_LEAD_SECONDS,
};
