//! Mails to users. A thread of its own sends them to an SMTP server, so a slow server never delays a request.
//!
//! | file | contents |
//! |---|---|
//! | `mail` | [`Mail`], the API of the crate: reserve a place in the queue, send a mail |
//! | `settings` | the settings of the crate |
//! | `server` | the SMTP server, from a URL |
//! | `sender` | the address that the mails come from |
//! | `address` | addresses in the form of SMTP |
//! | `message` | the mails that users get |
//! | `templates` | the texts of the mails |
//! | `template_files` | the files of the templates: built in, or from a folder of the operator |
//! | `letter` | a mail as bytes, with its envelope |
//! | `courier` | tries to deliver a mail until the server has it, or until the mail is lost |
//! | `smtp` | one try: connect, TLS, login, send |
//! | `stream` | a connection that reads only as much as SMTP needs |
//! | `failure` | why a try has failed, without any text of the server |
//! | `metrics` | the mails that were sent, the tries that failed, the mails that were lost |

mod address;
mod courier;
mod failure;
mod letter;
mod mail;
mod message;
mod metrics;
mod sender;
mod server;
mod settings;
mod smtp;
mod stream;
mod template_files;
mod templates;

pub use self::{
    mail::{Full, Mail, Place},
    message::{CHANGE_LINK_SECONDS, Kind, Message, RESET_LINK_SECONDS, VERIFY_LINK_SECONDS},
    sender::Sender,
    server::SmtpServer,
    settings::{Retry, Settings},
    smtp::probe,
    templates::Templates,
};
