//! The ES256 keys that the servers make, the commands on them, and the operator's own keys.

mod command;
mod faults;
mod file;
mod rotation;
mod scene;
mod secrecy;
mod secrets;
