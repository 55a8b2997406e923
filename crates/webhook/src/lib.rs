//! Webhooks by the rules of Standard Webhooks (<https://www.standardwebhooks.com>): a signed request to the operator's
//! URL. Knows nothing of the server.
//!
//! | file | contents |
//! |---|---|
//! | `address` | which addresses are public |
//! | `client` | the request, and the outcome of a delivery |
//! | `resolver` | looks up the host, and passes on only addresses that are allowed |
//! | `secrets` | the secrets, and the signature |
//! | `url` | the rules for the URL |

mod address;
mod client;
mod resolver;
mod secrets;
mod url;

pub use self::{
    client::{Client, DeliveryError, Message},
    secrets::WebhookSecrets,
    url::WebhookUrl,
};
