//! Python with the libraries that `.ci/libraries.sh openapi` downloads.

use std::{env, path::Path, process::Command};

use crate::support::program;

pub(crate) fn python() -> Command {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let libraries = repository.join("target/openapi/libraries");
    assert!(libraries.is_dir(), "run .ci/libraries.sh openapi first");
    let paths = env::join_paths([libraries, repository.join("tests/openapi")]).unwrap();
    let mut python = program("python3");
    python.env("PYTHONPATH", paths).env("PYTHONDONTWRITEBYTECODE", "1");
    python
}
