//! What services that check tokens use: introspection, revocation, their credentials, and public documents.

mod credentials;
mod forms;
mod introspection;
mod revocation;
mod well_known;
