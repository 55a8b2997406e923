//! Where the values of settings come from: flags, then the environment, then `.env`; for secrets also `NAME_FILE`.

use std::{
    collections::HashMap,
    env::{self, VarError},
    io,
};

use auth_service_records::file;

use super::{
    dotenv::{self, DOTENV},
    files::others_can_read,
    near_names,
    settings::{SETTINGS, Setting},
};

/// Sets the levels of the log. It is no setting of its own, because the log reads it by itself.
const LOG_LEVELS: &str = "RUST_LOG";

/// The values as text, not checked yet.
#[derive(Default)]
pub struct Sources {
    flags: HashMap<String, String>,
    environment: HashMap<String, String>,
    dotenv: HashMap<String, String>,
    problems: Vec<String>,
    without_effect: Vec<Warning>,
}

/// A setting that is probably not what the operator means. The server starts nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The name of the setting, or `.env`.
    pub setting: String,
    /// A sentence that says what to do, and never shows a value.
    pub sentence: String,
}

impl Sources {
    /// Takes the flags by the names of their settings, and reads the environment and `.env` in the working directory.
    ///
    /// A source that cannot be read is not an error yet, because commands that need no setting must still run.
    #[must_use]
    pub fn new(flags: HashMap<String, String>) -> Self {
        let (environment, mut problems) = read_environment();
        let (dotenv, bad_lines) = dotenv::read();
        problems.extend(bad_lines);
        let mut without_effect = misspelt(dotenv.iter(), DOTENV);
        without_effect.extend(misspelt_in_environment());
        if is_set(&dotenv, LOG_LEVELS) && env::var_os(LOG_LEVELS).is_none() {
            let sentence = format!("{LOG_LEVELS} in {DOTENV} has no effect; set it in the environment");
            without_effect.push(Warning { setting: LOG_LEVELS.to_owned(), sentence });
        }
        Self { flags, environment, dotenv, problems, without_effect }
    }

    /// One sentence for each value or line that cannot be read. No sentence shows a value.
    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// A warning for each variable that the operator probably meant as a setting, but that has no effect.
    pub(super) fn without_effect(&self) -> &[Warning] {
        &self.without_effect
    }

    /// Whether `.env` holds secrets, and other users can read it.
    pub(super) fn dotenv_is_open(&self) -> bool {
        let holds = |setting: &Setting| setting.secret && is_set(&self.dotenv, setting.name);
        SETTINGS.iter().any(holds) && others_can_read(DOTENV)
    }

    fn value(&self, name: &str) -> Option<&str> {
        let sources = [&self.flags, &self.environment, &self.dotenv];
        sources.iter().find_map(|source| source.get(name)).map(String::as_str)
    }

    /// The value of a setting. An empty value counts as none, so that `NAME=` in a compose file unsets the setting.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.value(name).filter(|value| !value.is_empty())
    }

    /// Whether a setting is set to the empty value.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        self.value(name) == Some("")
    }

    /// Whether `NAME` or `NAME_FILE` has a value.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.text(name).or_else(|| self.text(&file_setting(name))).is_some()
    }

    /// The value of `NAME`, or the content of the file that `NAME_FILE` names, as [`file::read_text`] reads it.
    ///
    /// # Errors
    /// A sentence, if both are set, or if the file is empty or cannot be read.
    pub(super) fn secret(&self, name: &str) -> Result<Option<String>, String> {
        let file_name = file_setting(name);
        let path = match (self.text(name), self.text(&file_name)) {
            (Some(_), Some(_)) => return Err(format!("{name} and {file_name} are both set; set only one of them")),
            (value, None) => return Ok(value.map(str::to_owned)),
            (None, Some(path)) => path,
        };
        match file::read_text(path).map_err(|error| unreadable(&file_name, &error))? {
            // An empty file does not count as unset: its owner expects a value in it.
            value if value.is_empty() => {
                Err(format!("{file_name} names a file that is empty; write the value of {name} into it"))
            }
            value => Ok(Some(value)),
        }
    }

    /// The content of the file that the setting names, without a byte order mark.
    ///
    /// # Errors
    /// A sentence, if the file cannot be read.
    pub(super) fn file(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let read = self.text(name).map(file::read).transpose();
        read.map_err(|error| unreadable(name, &error))
    }

    /// Whether users other than the owner can read the file that the setting names.
    pub(super) fn file_is_open(&self, name: &str) -> bool {
        self.text(name).is_some_and(others_can_read)
    }
}

fn is_set(values: &HashMap<String, String>, name: &str) -> bool {
    values.get(name).is_some_and(|value| !value.is_empty())
}

/// The name of the setting that names a file with the value of `name`.
pub(super) fn file_setting(name: &str) -> String {
    format!("{name}_FILE")
}

fn unreadable(name: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::InvalidData => format!("{name} names a file that is not UTF-8 text; save it as UTF-8"),
        kind => format!("{name} names a file that cannot be read: {kind}; check the path and its permissions"),
    }
}

/// A warning for each variable whose name is nearly the name of a setting. An empty variable does no harm.
fn misspelt<'a>(variables: impl Iterator<Item = (&'a String, &'a String)>, place: &str) -> Vec<Warning> {
    let warning = |(name, _): (&String, &String)| {
        let setting = near_names::meant(name)?;
        let sentence = format!("{name} in {place} is not a setting and has no effect; did you mean {setting}?");
        Some(Warning { setting: name.clone(), sentence })
    };
    let mut warnings: Vec<_> = variables.filter(|(_, value)| !value.is_empty()).filter_map(warning).collect();
    warnings.sort_unstable_by(|one, other| one.setting.cmp(&other.setting));
    warnings
}

fn misspelt_in_environment() -> Vec<Warning> {
    // Names and values that are not UTF-8 are nobody's misspelt settings.
    let variables = env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
    let variables: Vec<_> = variables.collect();
    misspelt(variables.iter().map(|(name, value)| (name, value)), "the environment")
}

/// The variables of all settings, and a sentence for each that cannot be read.
///
/// A line break at the end is not part of a value, as in files: a secret of Kubernetes often ends with one, and a file
/// of variables from Windows leaves a carriage return in each value.
fn read_environment() -> (HashMap<String, String>, Vec<String>) {
    let (mut values, mut problems) = (HashMap::new(), Vec::new());
    for name in SETTINGS.iter().flat_map(Setting::names) {
        match env::var(&name) {
            Ok(value) => {
                values.insert(name, value.trim_end_matches(['\r', '\n']).to_owned());
            }
            Err(VarError::NotPresent) => {}
            Err(VarError::NotUnicode(_)) => problems.push(format!("{name} must be UTF-8 text")),
        }
    }
    (values, problems)
}

#[cfg(test)]
impl Sources {
    /// Sources in which these settings are flags and nothing else is set.
    pub(super) fn of(flags: &[(&str, &str)]) -> Self {
        let flags = flags.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { flags, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn flags_win_over_the_environment_over_dotenv() {
        let source = |value: &str| HashMap::from([("PORT".to_owned(), value.to_owned())]);
        let mut sources =
            Sources { flags: source("1"), environment: source("2"), dotenv: source("3"), ..Sources::default() };
        assert_eq!(sources.text("PORT"), Some("1"));
        sources.flags.clear();
        assert_eq!(sources.text("PORT"), Some("2"));
        sources.environment = source("");
        assert_eq!(sources.text("PORT"), None, "an empty value unsets what .env says");
        sources.environment.clear();
        assert_eq!(sources.text("PORT"), Some("3"));
    }

    #[test]
    fn a_secret_comes_from_its_file_without_the_line_break() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let sources = Sources::of(&[("REDIS_PASSWORD_FILE", path.to_str().unwrap())]);
        assert!(sources.secret("REDIS_PASSWORD").unwrap_err().contains("cannot be read: entity not found"));
        fs::write(&path, "\r\n").unwrap();
        assert!(sources.secret("REDIS_PASSWORD").unwrap_err().contains("names a file that is empty"));
        fs::write(&path, " a b \r\n").unwrap();
        assert_eq!(sources.secret("REDIS_PASSWORD"), Ok(Some(" a b ".to_owned())));
        assert_eq!(sources.secret("REDIS_URL"), Ok(None));
    }
}
