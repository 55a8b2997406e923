//! Redis in every topology, and all kinds of failures of Redis.

mod addresses;
mod clocks;
mod commands;
mod doctor;
mod entries;
mod leftovers;
mod outage;
mod permissions;
mod prefixes;
mod redis_start;
mod renewed_files;
mod replicas;
mod reports;
mod secrets;
mod tls;
mod trouble;
mod versions;
