//! Reads settings one by one into checked values, and collects a sentence for each wrong one.

use std::{fmt::Display, net::IpAddr, ops::RangeInclusive, str::FromStr, time::Duration};

use ipnet::IpNet;

use super::sources::Sources;

/// A wrong secret. The reader has already recorded the sentence about it.
pub(super) struct Reported;

/// Reads settings. Returns a harmless value for a wrong setting, so that one pass finds all wrong settings.
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Calls `read`. Returns its value if no setting is wrong.
    ///
    /// # Errors
    /// One sentence for each wrong setting. It names the setting and the values that it takes, and never shows a value
    /// that may be secret.
    pub(super) fn read<T>(sources: &'a Sources, read: impl FnOnce(&mut Self) -> T) -> Result<T, Vec<String>> {
        let mut reader = Self { sources, problems: sources.problems().to_vec() };
        let value = read(&mut reader);
        if reader.problems.is_empty() { Ok(value) } else { Err(reader.problems) }
    }

    /// Records that a setting is wrong. `rest` is the rest of a sentence that starts with the name of the setting.
    pub(super) fn problem(&mut self, name: &str, rest: &str) {
        self.problems.push(format!("{name} {rest}"));
    }

    /// Any text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.sources.text(name).map(str::to_owned)
    }

    /// The value of `NAME`, or of the file that `NAME_FILE` names.
    pub(super) fn secret(&mut self, name: &str) -> Result<Option<String>, Reported> {
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

    /// Networks in CIDR notation or single addresses, separated by commas.
    pub(super) fn networks(&mut self, name: &str) -> Vec<IpNet> {
        parse_networks(self.sources.text(name).unwrap_or_default()).unwrap_or_else(|| {
            self.problem(name, "must be networks such as 10.0.0.0/8 or addresses, separated by commas");
            Vec::new()
        })
    }
}

fn parse_networks(text: &str) -> Option<Vec<IpNet>> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| word.parse().or_else(|_| word.parse::<IpAddr>().map(IpNet::from)).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sentences about these settings.
    fn wrong<T>(settings: &[(&str, &str)], read: impl FnOnce(&mut Reader<'_>) -> T) -> Vec<String> {
        Reader::read(&Sources::of(settings), read).err().unwrap()
    }

    fn right<T>(settings: &[(&str, &str)], read: impl FnOnce(&mut Reader<'_>) -> T) -> T {
        Reader::read(&Sources::of(settings), read).unwrap()
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
    fn networks_are_in_cidr_notation_or_single_addresses() {
        let networks = |text: &str| right(&[("TRUSTED_PROXIES", text)], |reader| reader.networks("TRUSTED_PROXIES"));
        let shown = |text| networks(text).iter().map(IpNet::to_string).collect::<Vec<_>>();
        assert_eq!(shown("10.0.0.0/8, ::1,,192.0.2.1 "), ["10.0.0.0/8", "::1/128", "192.0.2.1/32"]);
        for bad in ["10.0.0.0/33", "localhost", "10.0.0.0/8;::1"] {
            let sentences = wrong(&[("TRUSTED_PROXIES", bad)], |reader| reader.networks("TRUSTED_PROXIES"));
            assert!(sentences[0].starts_with("TRUSTED_PROXIES must be networks"), "{sentences:?}");
        }
    }

    #[test]
    fn one_pass_finds_all_wrong_settings() {
        let sentences = wrong(&[("PORT", "x"), ("AUDIT_EMAILS", "x")], |reader| {
            (reader.number("PORT", 1, 1..=9), reader.switch("AUDIT_EMAILS"))
        });
        assert_eq!(sentences.len(), 2);
    }
}
