//! The second factor: codes by `oathtool`, on Redis and on the embedded store.

mod command;
mod enrolment;
mod limits;
mod races;
mod secrecy;
mod sign_in;
mod tokens;
