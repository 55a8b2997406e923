//! What a client sees of a server with the default settings. These tests also run on a deployment.

mod authenticate;
mod current_user;
mod life_of_a_session;
mod old_client;
mod refresh_access_token;
mod remove_access_token;
mod sign_up;
mod unknown_fields;
