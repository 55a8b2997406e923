//! `auth-service secrets`: new secrets, and the adoption of signing secrets.

use std::process::ExitCode;

use auth_service_records::{
    error::Error,
    resource_servers::{self, is_name},
    secret::Secret,
};
use auth_service_webhook::WebhookSecrets;
use clap::{ArgMatches, Command};
use serde::Serialize;

use super::{
    arguments::{self, group},
    keys::remove_unopenable,
    output::{Failed, Report, WRONG_USAGE, report},
    reseal::{self, reseal},
    store::{connect, on_backend},
};
use crate::config::{Config, Sources};

const HELP: &str = "\
Examples:
  auth-service secrets generate >> .env
  auth-service secrets generate --json

All replicas must have the same two secrets. docs/secrets.md says how to replace them without signing anyone out.";

const ADOPT_HELP: &str = "\
Examples:
  auth-service secrets adopt

Replicas on one Redis start only if their secrets belong to those of the other replicas. This command records
the secrets in your settings as the valid ones. Use it to replace secrets at once, for example because somebody else knows
them: run the command with the new secrets, then restart all replicas with the new secrets. Every user has to sign in
again. Second factors need the old AUTH_SECRET_KEY until `auth-service secrets reseal` has sealed them again: see
docs/secrets.md.";

const RESOURCE_SERVER_HELP: &str = "\
Examples:
  auth-service secrets resource-server orders
  auth-service secrets resource-server orders --json

Give the secret to the service only, which authenticates by HTTP Basic with its name and the secret. Add the entry to
RESOURCE_SERVERS, or to the file that RESOURCE_SERVERS_FILE names, on every replica. The entry has only the SHA-256 of
the secret.";

const WEBHOOK_HELP: &str = "\
Examples:
  auth-service secrets webhook >> .env

Give the secret to the receiver of the webhooks, which checks their signatures. WEBHOOK_SECRET takes several secrets with
blanks between them. Each request then has a signature of each secret, so that a receiver can change to a new one.";

pub(super) fn command() -> Command {
    let webhook = arguments::command("webhook", "Print a new secret that signs webhooks", WEBHOOK_HELP);
    let generate = arguments::command("generate", "Print two new secrets, as lines for .env", HELP);
    let about = "Seal the second factors of all accounts for the current AUTH_SECRET_KEY";
    let reseal = arguments::command("reseal", about, reseal::HELP);
    let adopt = arguments::command("adopt", "Replace the signing secrets at once, and end all sessions", ADOPT_HELP);
    let about = "Print a new secret for a service that asks about tokens, and its entry in RESOURCE_SERVERS";
    let name =
        arguments::positional("name", "NAME", "The name of the service: letters, digits, dots, hyphens, underscores");
    let resource_server = arguments::command("resource-server", about, RESOURCE_SERVER_HELP).arg(name);
    group("secrets", "Make and replace secrets", HELP).subcommands([generate, resource_server, webhook, reseal, adopt])
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    match matches.subcommand() {
        Some(("generate", matches)) => report(matches, generate().map_err(Failed::from)),
        Some(("resource-server", matches)) => report(matches, new_resource_server(matches)),
        Some(("webhook", matches)) => report(matches, new_webhook_secret()),
        Some(("reseal", matches)) => report(matches, reseal(sources)),
        Some(("adopt", matches)) => report(matches, adopt(sources)),
        _ => ExitCode::from(WRONG_USAGE),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Generated {
    auth_secret_key: String,
    refresh_secret_key: String,
}

impl Report for Generated {
    /// Two lines, as `.env` has one setting on each line.
    fn text(&self) -> String {
        format!("AUTH_SECRET_KEY={}\nREFRESH_SECRET_KEY={}", self.auth_secret_key, self.refresh_secret_key)
    }
}

fn generate() -> Result<Generated, Error> {
    Ok(Generated {
        auth_secret_key: Secret::generate()?.expose().to_owned(),
        refresh_secret_key: Secret::generate()?.expose().to_owned(),
    })
}

#[derive(Serialize)]
struct NewResourceServer {
    name: String,
    secret: String,
    entry: String,
}

impl Report for NewResourceServer {
    fn text(&self) -> String {
        format!("secret of {}: {}\nentry in RESOURCE_SERVERS: {}", self.name, self.secret, self.entry)
    }
}

fn new_resource_server(matches: &ArgMatches) -> Result<NewResourceServer, Failed> {
    let name = matches.get_one::<String>("name").filter(|name| is_name(name)).cloned();
    let rule = "NAME must be 1 to 64 ASCII letters, digits, dots, hyphens or underscores";
    let name = name.ok_or_else(|| Failed::wrong_usage(rule))?;
    let secret = Secret::generate().map_err(Error::from)?;
    let entry = resource_servers::entry(&name, &secret);
    Ok(NewResourceServer { name, secret: secret.expose().to_owned(), entry })
}

#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct NewWebhookSecret {
    webhook_secret: String,
}

impl Report for NewWebhookSecret {
    /// A line for `.env`.
    fn text(&self) -> String {
        format!("WEBHOOK_SECRET={}", self.webhook_secret)
    }
}

fn new_webhook_secret() -> Result<NewWebhookSecret, Failed> {
    Ok(NewWebhookSecret { webhook_secret: WebhookSecrets::generate().map_err(Error::from)? })
}

#[derive(Serialize)]
struct Adopted {
    store: String,
}

impl Report for Adopted {
    fn text(&self) -> String {
        format!("The secrets in your settings are now valid on {}; restart all replicas with these secrets", self.store)
    }
}

fn adopt(sources: &Sources) -> Result<Adopted, Failed> {
    let secrets = Config::load_secrets(sources).map_err(|problems| Failed::wrong_settings(&problems))?;
    let missing = || Failed::wrong_usage("set AUTH_SECRET_KEY and REFRESH_SECRET_KEY to the new secrets".to_owned());
    let secrets = secrets.ok_or_else(missing)?;
    let check = secrets.tokens().check_values();
    on_backend(sources, async |backend| {
        backend.adopt_secrets(&check).await.map_err(|reason| Failed::new("store_unreachable", reason))?;
        // The tokens of the ES256 keys end too, because their sessions end.
        if backend.is_shared() {
            remove_unopenable(&connect(&backend).await?, &secrets.sealing_keys()).await?;
        }
        Ok(Adopted { store: backend.describe() })
    })
}
