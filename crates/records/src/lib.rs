//! Plain records and rules, which every other part of the server imports. Only [`mod@file`] and [`secret`] do I/O. No
//! module knows HTTP or a driver.
//!
//! | module | contents |
//! |---|---|
//! | [`user`] | emails and accounts |
//! | [`session`] | how long sessions live, and the data that the store keeps and returns about a session |
//! | [`throttle`] | the limits on guessing passwords, and the addresses that an account knows |
//! | [`resource_servers`] | the services that may ask about tokens |
//! | [`error`] | the errors that a client can get |
//! | [`refusal`] | why a token is refused |
//! | [`revocation`] | entries of the feed of revocations |
//! | [`outbox`] | security events on their way to the operator's URL |
//! | [`mail_token`] | tokens in mails |
//! | [`clock`] | the time of the store |
//! | [`mod@file`] | the content of files that settings name |
//! | [`sealing`] | the seals of the secrets of second factors |
//! | [`secret`] | text that no output shows, and the files of the signing secrets |

pub mod clock;
pub mod error;
pub mod file;
pub mod mail_token;
pub mod outbox;
pub mod refusal;
pub mod resource_servers;
pub mod revocation;
pub mod sealing;
pub mod secret;
pub mod session;
pub mod throttle;
pub mod user;
