//! The program: reads the command line and the settings, then serves.

use std::process::ExitCode;

use auth_service::{
    audit,
    cli::{self, Invocation},
    config::Config,
    log::{self, TrailFile},
    start,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Transparent huge pages would increase the memory at rest by half.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let sources = match cli::run() {
        Invocation::Serve(sources) => sources,
        Invocation::Done(code) => return code,
    };
    let (config, warnings) = match Config::load(&sources) {
        Ok(loaded) => loaded,
        Err(problems) => return cli::wrong_settings(&problems),
    };
    let trail_file = match config.audit_log.as_deref().map(TrailFile::open).transpose() {
        Ok(file) => file,
        Err(error) => {
            let advice = "check the directory, its permissions and the space on its disk";
            return cli::wrong_settings(&[format!("AUDIT_LOG names a file that cannot be written: {error}; {advice}")]);
        }
    };
    // Writes the last lines when it is dropped.
    let log = match log::start(config.log_format, trail_file) {
        Ok(log) => log,
        Err(error) => return cli::failed(&error),
    };
    for warning in &warnings {
        audit::settings_warning(&warning.setting, &warning.sentence);
    }
    start::run(config, log.trail())
}
