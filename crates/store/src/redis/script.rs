//! How scripts are put together. Each operation declares its own.

use redis::Script;

/// A script after the shared parts that it uses, by their names in `scripts/`.
macro_rules! script {
    ($($name:literal),+) => {
        std::sync::LazyLock::new(|| {
            $crate::redis::script::new(concat!($(include_str!(concat!("scripts/", $name, ".lua"))),+))
        })
    };
}
pub(super) use script;

/// The script with this text. A server that does not know it gets it at its first call.
pub(super) fn new(text: &str) -> Script {
    Script::new(text)
}
