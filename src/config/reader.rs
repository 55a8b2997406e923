//! Reads settings one by one into checked values, and collects a sentence for each wrong one.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

use ipnet::IpNet;

use super::{
    dotenv::DOTENV,
    networks,
    sources::{Sources, Warning, file_setting},
};

/// A wrong secret. The reader has already recorded the sentence about it.
pub(super) struct Reported;

/// Reads settings. Returns a harmless value for a wrong setting, so that one pass finds all wrong settings.
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    problems: Vec<String>,
    warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    /// Calls `read`. Returns its value and the warnings if no setting is wrong.
    ///
    /// # Errors
    /// One sentence for each wrong setting. It names the setting and the values that it takes, and never shows a value
    /// that may be secret. Then a sentence for each variable that has no effect, because a missing setting may have a
    /// misspelt name.
    pub(super) fn read<T>(
        sources: &'a Sources,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Result<(T, Vec<Warning>), Vec<String>> {
        let (problems, warnings) = (sources.problems().to_vec(), sources.without_effect().to_vec());
        let mut reader = Self { sources, problems, warnings };
        if sources.dotenv_is_open() {
            reader.warning(DOTENV, "holds secrets, and other users can read it; run chmod 600 .env");
        }
        let value = read(&mut reader);
        if reader.problems.is_empty() {
            return Ok((value, reader.warnings));
        }
        reader.problems.extend(sources.without_effect().iter().map(|warning| warning.sentence.clone()));
        Err(reader.problems)
    }

    /// Records that a setting is wrong. `rest` is the rest of a sentence that starts with the name of the setting.
    pub(super) fn problem(&mut self, name: &str, rest: &str) {
        self.problems.push(format!("{name} {rest}"));
    }

    /// Records that a setting is probably not what the operator means. `rest` is as in [`Reader::problem`].
    pub(super) fn warning(&mut self, name: &str, rest: &str) {
        self.warnings.push(Warning { setting: name.to_owned(), sentence: format!("{name} {rest}") });
    }

    /// The number of problems so far.
    pub(super) fn problems(&self) -> usize {
        self.problems.len()
    }

    /// The number of warnings so far.
    pub(super) fn warnings(&self) -> usize {
        self.warnings.len()
    }

    /// Warns if the setting is set to the empty value, and nothing else gives its value. `consequence` is a clause that
    /// says what the server does then.
    ///
    /// Only settings that say where data and secrets are need this. Compose files often pass the others on as empty
    /// values, whose effect is the documented default.
    pub(super) fn warn_if_empty(&mut self, name: &str, consequence: &str) {
        let names = [name.to_owned(), file_setting(name)];
        let empty = names.iter().find(|name| self.sources.is_empty(name));
        if let Some(empty) = empty.filter(|_| !self.is_given(name)) {
            self.warning(empty, &format!("is empty, so {consequence}; give it a value, or remove it"));
        }
    }

    /// Whether `NAME` or `NAME_FILE` has a value.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.sources.is_given(name)
    }

    /// Any text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.sources.text(name).map(str::to_owned)
    }

    /// The value of `NAME`, or of the file that `NAME_FILE` names.
    pub(super) fn secret(&mut self, name: &str) -> Result<Option<String>, Reported> {
        self.warn_if_open(&file_setting(name));
        self.sources.secret(name).map_err(|sentence| {
            self.problems.push(sentence);
            Reported
        })
    }

    /// The content of the file that the setting names; `None` if the setting is not given. The content of a file that
    /// cannot be read is empty.
    pub(super) fn file(&mut self, name: &str) -> Option<Vec<u8>> {
        self.sources.file(name).unwrap_or_else(|sentence| {
            self.problems.push(sentence);
            // With `None`, a setting that needs this one would report this one as missing too.
            Some(Vec::new())
        })
    }

    /// Warns if users other than the owner can read the file that the setting names.
    pub(super) fn warn_if_open(&mut self, name: &str) {
        if self.sources.file_is_open(name) {
            self.warning(
                name,
                "names a file that other users can read; let the server own it, and run chmod 600 on it",
            );
        }
    }

    /// A whole number.
    pub(super) fn number<T>(&mut self, name: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let Some(text) = self.sources.text(name) else { return default };
        if let Some(number) = text.parse().ok().filter(|number| range.contains(number)) {
            return number;
        }
        self.problem(name, &format!("must be a whole number from {} to {}", range.start(), range.end()));
        default
    }

    /// A number of seconds.
    pub(super) fn seconds(&mut self, name: &str, default: u64, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.number(name, default, range))
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, default: T, choices: &[(&str, T)]) -> T {
        let Some(text) = self.sources.text(name) else { return default };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        self.problem(name, &format!("must be one of: {}", words.join(", ")));
        default
    }

    /// `on` or `off`. The default is `off`.
    pub(super) fn switch(&mut self, name: &str) -> bool {
        self.choice(name, false, &[("on", true), ("off", false)])
    }

    /// Networks in CIDR notation or single addresses, separated by commas, none too wide to hold only proxies.
    pub(super) fn networks(&mut self, name: &str) -> Vec<IpNet> {
        let Some(networks) = networks::parse(self.sources.text(name).unwrap_or_default()) else {
            self.problem(name, "must be networks such as 10.0.0.0/8 or addresses, separated by commas");
            return Vec::new();
        };
        if networks::are_too_wide(&networks) {
            let rest = "must not hold networks wider than /8 (IPv6: /7), because every client in such a network could \
                        forge its address; name only the networks of your load balancers";
            self.problem(name, rest);
        }
        networks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sentences about these settings.
    fn wrong<T>(settings: &[(&str, &str)], read: impl FnOnce(&mut Reader<'_>) -> T) -> Vec<String> {
        Reader::read(&Sources::of(settings), read).err().unwrap()
    }

    fn right<T>(settings: &[(&str, &str)], read: impl FnOnce(&mut Reader<'_>) -> T) -> T {
        Reader::read(&Sources::of(settings), read).unwrap().0
    }

    #[test]
    fn numbers_are_whole_and_in_their_range() {
        let port = |reader: &mut Reader<'_>| reader.number("PORT", 3000_u16, 1..=9);
        assert_eq!(right(&[], port), 3000);
        assert_eq!(right(&[("PORT", "9")], port), 9);
        for bad in ["0", "10", "-1", " 1", "1.0", "x", "99999999999999999999"] {
            assert_eq!(wrong(&[("PORT", bad)], port), ["PORT must be a whole number from 1 to 9"], "{bad}");
        }
    }

    #[test]
    fn words_are_those_of_the_list_in_their_case() {
        let switch = |reader: &mut Reader<'_>| reader.switch("AUDIT_EMAILS");
        assert!(right(&[("AUDIT_EMAILS", "on")], switch));
        assert!(!right(&[], switch));
        assert_eq!(wrong(&[("AUDIT_EMAILS", "On")], switch), ["AUDIT_EMAILS must be one of: on, off"]);
    }

    #[test]
    fn networks_of_proxies_are_well_formed_and_not_too_wide() {
        let networks = |reader: &mut Reader<'_>| reader.networks("TRUSTED_PROXIES");
        assert_eq!(right(&[("TRUSTED_PROXIES", "10.0.0.0/8, ::1")], networks).len(), 2);
        for (bad, rest) in [("localhost", "must be networks"), ("0.0.0.0/0", "must not hold networks wider than /8")] {
            let sentences = wrong(&[("TRUSTED_PROXIES", bad)], networks);
            assert!(sentences[0].starts_with(&format!("TRUSTED_PROXIES {rest}")), "{sentences:?}");
        }
    }

    #[test]
    fn an_empty_value_is_warned_of_unless_another_setting_gives_the_value() {
        let warnings = |settings: &[(&str, &str)]| {
            let read = |reader: &mut Reader<'_>| reader.warn_if_empty("REDIS_URL", "nothing works");
            let (_, warnings) = Reader::read(&Sources::of(settings), read).unwrap();
            warnings.into_iter().map(|warning| warning.sentence).collect::<Vec<_>>()
        };
        let rest = "is empty, so nothing works; give it a value, or remove it";
        assert_eq!(warnings(&[("REDIS_URL", "")]), [format!("REDIS_URL {rest}")]);
        assert_eq!(warnings(&[("REDIS_URL_FILE", "")]), [format!("REDIS_URL_FILE {rest}")]);
        for harmless in [&[("REDIS_URL", ""), ("REDIS_URL_FILE", "x")][..], &[("REDIS_URL", "x")], &[]] {
            assert_eq!(warnings(harmless), [""; 0]);
        }
    }
}
