//! The delivery of webhooks. The use cases put events into the outbox of the store. One server at a time delivers them.
//!
//! | file | contents |
//! |---|---|
//! | `start` | the start and the end of the task that delivers |
//! | `reader` | the task: reads the outbox, and gives each user's events to a line |
//! | `lines` | the events that wait in memory, one line for each user |
//! | `delivery` | the tries of one event, and what follows them |
//! | `metrics` | the metrics |

mod delivery;
mod lines;
mod metrics;
mod reader;
mod start;

pub use self::metrics::Metrics;
pub(crate) use self::start::{Webhooks, start};
