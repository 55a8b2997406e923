//! Extracts the files of Swagger UI, which `/docs` serves, from the archive in their crate.

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, Cursor, Write},
    path::PathBuf,
};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::{CompressionMethod, ZipArchive};

/// The files that `src/http/docs_page` includes.
const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];
/// The header of a gzip file without a name, a time and a system (RFC 1952, section 2.3).
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The files stay compressed: a file in the archive differs from a gzip file only by the header of ten bytes and the
/// trailer of eight bytes.
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let directory = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in FILES {
        // The first part of the path is the version of Swagger UI.
        let end = format!("/dist/{name}");
        let index = archive.file_names().position(|path| path.is_ok_and(|path| path.ends_with(&end)));
        let index = index.ok_or_else(|| format!("the archive has no {end}"))?;
        let mut packed = archive.by_index_raw(index)?;
        if packed.compression() != CompressionMethod::DEFLATE {
            return Err(format!("{end} is compressed in another way").into());
        }
        let mut file = File::create(directory.join(format!("{name}.gz")))?;
        file.write_all(&GZIP_HEADER)?;
        let (checksum, length) = (packed.crc32(), u32::try_from(packed.size())?);
        io::copy(&mut packed, &mut file)?;
        file.write_all(&[checksum.to_le_bytes(), length.to_le_bytes()].concat())?;
    }
    Ok(())
}
