//! The second factor: codes of an authenticator app, and recovery codes.
//!
//! | file | contents |
//! |---|---|
//! | `check` | whether a code is right, and the account after the code |
//! | `challenge` | the two steps of a sign-in |
//! | `enrolment` | the use cases that enable and remove the second factor |

mod challenge;
mod check;
mod enrolment;

pub use self::enrolment::Enrolment;
