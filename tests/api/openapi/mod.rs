//! The OpenAPI document must say what the server does.

mod answers;
mod document;
mod errors;
mod examples;
mod routes;
mod settings;
