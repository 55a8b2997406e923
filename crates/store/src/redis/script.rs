//! Assembles scripts. Each operation declares its own script.

/// A script, preceded by the shared parts that it uses. Each name is that of a file in `scripts/`. The first call loads
/// the script into a server that does not know the script.
macro_rules! script {
    ($($name:literal),+) => {
        std::sync::LazyLock::new(|| {
            ::redis::Script::new(concat!($(include_str!(concat!("scripts/", $name, ".lua"))),+))
        })
    };
}
pub(super) use script;
