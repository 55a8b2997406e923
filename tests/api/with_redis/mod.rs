//! Redis in every form and in every kind of trouble.

mod addresses;
mod commands;
mod doctor;
mod entries;
mod leftovers;
mod majorities;
mod outage;
mod prefixes;
mod recorder;
mod recording;
mod redis_start;
mod replicas;
mod tls;
mod topologies;
mod trouble;
mod versions;
mod waiting_writes;
