//! Links in mails: forgotten password, verification and change of an email.

mod change;
mod dying;
mod events;
mod forged;
mod limits;
mod notices;
mod outage;
mod password;
mod queue;
mod races;
mod scene;
mod second_factor;
mod secrecy;
mod verification;
mod without_mail;
