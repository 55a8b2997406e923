//! The files of the templates: built in, or from a folder of the operator.

use std::{borrow::Cow, fs, io, path::Path};

use auth_service_records::file;

use crate::message::Kind;

macro_rules! built_in {
    ($($name:literal),+) => {
        [$((concat!($name, ".txt"), include_str!(concat!("texts/", $name, ".txt"))),
           (concat!($name, ".html"), include_str!(concat!("texts/", $name, ".html")))),+]
    };
}

/// The name and the text of each built-in template.
const BUILT_IN: [(&str, &str); 14] = built_in!(
    "verify_email",
    "reset_password",
    "change_email",
    "email_change_requested",
    "email_changed",
    "password_changed",
    "second_factor_changed"
);

/// The name and the text of each template. A file in `folder` replaces the built-in one of the same name. Adds to `faults`
/// what is wrong with the folder, as [`Templates::load`](crate::Templates::load) returns it.
pub(crate) fn template_files(
    folder: Option<&Path>,
    faults: &mut Vec<String>,
) -> Vec<(&'static str, Cow<'static, str>)> {
    let own = folder.map_or_else(|| Ok(Vec::new()), |folder| own(folder, faults));
    let mut own = own.unwrap_or_else(|error| {
        faults.push(format!("must be a folder that the server can read: {error}"));
        Vec::new()
    });
    let template = |(name, text)| match own.iter_mut().find(|(own, _)| own == name) {
        Some((_, own)) => (name, std::mem::take(own).into()),
        None => (name, Cow::from(text)),
    };
    BUILT_IN.into_iter().map(template).collect()
}

/// The name and the text of each template in the folder. Adds a fault for each that cannot be read, and for each whose
/// name is not that of a mail, because its owner expects an effect.
fn own(folder: &Path, faults: &mut Vec<String>) -> io::Result<Vec<(String, String)>> {
    let mut own = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || !(name.ends_with(".txt") || name.ends_with(".html")) {
            continue;
        }
        if BUILT_IN.iter().all(|(built_in, _)| *built_in != name) {
            let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            faults.push(format!(
                "has the template {name}, but there is no such mail; the mails are {}",
                names.join(", ")
            ));
            continue;
        }
        match file::read_text(folder.join(&name)) {
            Ok(text) => own.push((name, text)),
            Err(error) => faults.push(format!("has the template {name}, which cannot be read: {error}")),
        }
    }
    Ok(own)
}
