//! Webhooks: what a receiver gets, in which order, and what happens when something fails.

mod addresses;
mod dead_letters;
mod delivery;
mod faults;
mod order;
mod scene;
mod settings;
