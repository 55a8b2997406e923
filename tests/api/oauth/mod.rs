//! What services that check tokens use: introspection, revocation, and their credentials.

mod credentials;
mod forms;
mod introspection;
mod revocation;
