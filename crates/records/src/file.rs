//! The content of files that settings name.

use std::{fs, io, path::Path, str};

/// Editors on Windows write these bytes at the start of a file. They are not part of its content.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The content of a file, without a byte order mark at its start.
///
/// # Errors
/// When the file cannot be read.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let content = fs::read(path)?;
    Ok(content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&content).to_vec())
}

/// The text of a file without a byte order mark at its start, and without line breaks at its end.
///
/// # Errors
/// When the file cannot be read, or is not UTF-8 text. The error shows nothing of the content.
pub fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    let content = read(path)?;
    let text = str::from_utf8(&content);
    let text = text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8 text"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_no_byte_order_mark_and_no_line_break_at_its_end() {
        let path = std::env::temp_dir().join(format!("auth-service-text-{}", std::process::id()));
        for (content, text) in [
            (&b"\xef\xbb\xbf a b \r\n"[..], " a b "),
            (b"a\nb\r\n\n", "a\nb"),
            (b"\xef\xbb\xbf\n", ""),
            (b"a\xef\xbb\xbf", "a\u{feff}"),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(read_text(&path).unwrap(), text);
        }
        fs::write(&path, b"plant\xffed").unwrap();
        let error = read_text(&path).unwrap_err();
        fs::remove_file(&path).unwrap();
        assert_eq!(error.to_string(), "the file is not UTF-8 text");
    }
}
