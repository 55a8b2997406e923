//! Where the values of settings come from: flags, then the environment, then `.env`; for secrets also `NAME_FILE`.

use std::{
    collections::HashMap,
    env::{self, VarError},
    fs,
};

use super::settings::{SETTINGS, Setting};

/// The values as text, not checked yet.
#[derive(Default)]
pub struct Sources {
    flags: HashMap<String, String>,
    environment: HashMap<String, String>,
    dotenv: HashMap<String, String>,
    problems: Vec<String>,
}

impl Sources {
    /// Takes the flags by the names of their settings, and reads the environment and `.env` in the working directory.
    ///
    /// A source that cannot be read is not an error yet, because commands that need no setting must still run.
    #[must_use]
    pub fn new(flags: HashMap<String, String>) -> Self {
        let (environment, mut problems) = read_environment();
        let (dotenv, problem) = read_dotenv();
        problems.extend(problem);
        Self { flags, environment, dotenv, problems }
    }

    /// One sentence for each value or line that cannot be read. No sentence shows a value.
    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The value of a setting. An empty value counts as none, so that `NAME=` in a compose file unsets the setting.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let sources = [&self.flags, &self.environment, &self.dotenv];
        let value = sources.iter().find_map(|source| source.get(name));
        value.map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of `NAME`, or the content of the file that `NAME_FILE` names, without the line break at its end.
    ///
    /// # Errors
    /// A sentence, if both are set, or if the file is empty or cannot be read.
    pub(super) fn secret(&self, name: &str) -> Result<Option<String>, String> {
        let file_name = format!("{name}_FILE");
        let path = match (self.text(name), self.text(&file_name)) {
            (Some(_), Some(_)) => return Err(format!("{name} and {file_name} are both set; set only one of them")),
            (value, None) => return Ok(value.map(str::to_owned)),
            (None, Some(path)) => path,
        };
        let text = fs::read_to_string(path).map_err(|error| unreadable(&file_name, &error))?;
        match text.trim_end_matches(['\r', '\n']) {
            // An empty file does not count as unset: its owner expects a value in it.
            "" => Err(format!("{file_name} names a file that is empty; write the value of {name} into it")),
            value => Ok(Some(value.to_owned())),
        }
    }

    /// The content of the file that the setting names.
    ///
    /// # Errors
    /// A sentence, if the file cannot be read.
    pub(super) fn file(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let read = self.text(name).map(fs::read).transpose();
        read.map_err(|error| unreadable(name, &error))
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> String {
    format!("{name} names a file that cannot be read: {}; check the path and its permissions", error.kind())
}

/// The variables of all settings, and a sentence for each that cannot be read.
fn read_environment() -> (HashMap<String, String>, Vec<String>) {
    let (mut values, mut problems) = (HashMap::new(), Vec::new());
    for name in SETTINGS.iter().flat_map(Setting::names) {
        match env::var(&name) {
            Ok(value) => {
                values.insert(name, value);
            }
            Err(VarError::NotPresent) => {}
            Err(VarError::NotUnicode(_)) => problems.push(format!("{name} must be UTF-8 text")),
        }
    }
    (values, problems)
}

/// The lines of `.env` that can be read, and a sentence about the first that cannot.
fn read_dotenv() -> (HashMap<String, String>, Option<String>) {
    let (mut values, mut problem) = (HashMap::new(), None);
    let unreadable = |error| format!(".env cannot be read: {error}; correct or remove the file");
    let lines = match dotenvy::from_path_iter(".env") {
        Ok(lines) => lines,
        Err(error) if error.not_found() => return (values, None),
        Err(error) => return (values, Some(unreadable(error))),
    };
    for line in lines {
        match line {
            Ok((name, value)) => {
                values.insert(name, value);
            }
            // The error of the library quotes the line, which may hold a secret.
            Err(dotenvy::Error::LineParse(..)) => {
                let sentence = ".env has a line that is not NAME=value; quote values that have spaces";
                problem.get_or_insert_with(|| sentence.to_owned());
            }
            // The iterator would return this error forever.
            Err(error) => return (values, Some(unreadable(error))),
        }
    }
    (values, problem)
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
    use super::*;

    #[test]
    fn flags_win_over_the_environment_over_dotenv() {
        let source = |value: &str| HashMap::from([("PORT".to_owned(), value.to_owned())]);
        let mut sources =
            Sources { flags: source("1"), environment: source("2"), dotenv: source("3"), problems: Vec::new() };
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
