//! How scripts are put together. Each operation declares its own script.

/// A script that starts with the shared parts that it uses. The names are those of files in `scripts/`. A server that
/// does not know the script gets it with the first call.
macro_rules! script {
    ($($name:literal),+) => {
        std::sync::LazyLock::new(|| {
            ::redis::Script::new(concat!($(include_str!(concat!("scripts/", $name, ".lua"))),+))
        })
    };
}
pub(super) use script;
