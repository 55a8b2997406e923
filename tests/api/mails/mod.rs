//! Links in mails: forgotten password, verification and change of an email.

mod change;
mod events;
mod forged;
mod limits;
mod password;
mod races;
mod scene;
mod second_factor;
mod secrecy;
mod verification;
mod without_mail;
