//! Files that settings name: their text, and who else can read them.

use std::{
    env, fs, io,
    os::unix::fs::MetadataExt,
    path::{Component, Path},
    str,
};

/// Editors on Windows write these bytes at the start of a file. They are not part of its content.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The content without a byte order mark at its start.
pub(super) fn without_byte_order_mark(content: &[u8]) -> &[u8] {
    content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content)
}

/// The text of a file without a byte order mark at its start, and without line breaks at its end.
///
/// # Errors
/// When the file cannot be read, or is not UTF-8 text. The error shows nothing of the content.
pub(super) fn read_text(path: &str) -> io::Result<String> {
    let content = fs::read(path)?;
    let text = str::from_utf8(without_byte_order_mark(&content));
    let text = text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8 text"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

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
    fn a_text_has_no_byte_order_mark_and_no_line_break_at_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for (content, text) in [
            (&b"\xef\xbb\xbf a b \r\n"[..], " a b "),
            (b"a\nb\r\n\n", "a\nb"),
            (b"\xef\xbb\xbf\n", ""),
            (b"a\xef\xbb\xbf", "a\u{feff}"),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(read_text(path.to_str().unwrap()).unwrap(), text);
        }
        fs::write(&path, b"plant\xffed").unwrap();
        let error = read_text(path.to_str().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "the file is not UTF-8 text");
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
