//! Who else can read the files that settings name.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Component, Path},
};

/// Whether users other than the owner of a file can read it, so that the owner should run `chmod 600`.
///
/// The group may read a file of another owner: `chown root:service` with mode 0640 is how a system gives a secret to a
/// service. A secret that an orchestrator mounts is not reported, because its mode is not the operator's choice, and no
/// other users are in the container.
pub(super) fn others_can_read(path: &str) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    let others = if ours { 0o044 } else { 0o004 };
    metadata.mode() & others != 0 && !is_mounted_secret(path)
}

/// Whether Docker, Kubernetes or systemd has put the file there. Kubernetes swaps its files through directories whose
/// names begin with two dots, such as `..2026_11_28_18_25_05.1234`.
fn is_mounted_secret(path: &str) -> bool {
    let Ok(real) = fs::canonicalize(path) else { return false };
    let credentials = env::var_os("CREDENTIALS_DIRECTORY").filter(|directory| !directory.is_empty());
    let swapped = |part: Component<'_>| part.as_os_str().as_encoded_bytes().starts_with(b"..");
    real.starts_with("/run/secrets")
        || credentials.is_some_and(|directory| real.starts_with(Path::new(&directory)))
        || real.components().any(swapped)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_that_group_or_others_can_read_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, "x").unwrap();
        for (mode, open) in
            [(0o600, false), (0o400, false), (0o622, false), (0o640, true), (0o604, true), (0o644, true)]
        {
            set_mode(&path, mode);
            assert_eq!(others_can_read(path.to_str().unwrap()), open, "{mode:o}");
        }
        assert!(!others_can_read("no such file"));
    }

    #[test]
    fn a_secret_that_kubernetes_mounts_is_not_open() {
        let directory = tempfile::tempdir().unwrap();
        let swapped = directory.path().join("..2026_11_28_18_25_05.1234");
        fs::create_dir(&swapped).unwrap();
        fs::write(swapped.join("secret"), "x").unwrap();
        set_mode(&swapped.join("secret"), 0o644);
        symlink("..2026_11_28_18_25_05.1234", directory.path().join("..data")).unwrap();
        symlink("..data/secret", directory.path().join("secret")).unwrap();
        assert!(!others_can_read(directory.path().join("secret").to_str().unwrap()));
    }
}
