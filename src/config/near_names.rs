//! Finds names that are nearly those of settings, because a setting with a misspelt name silently has no effect.

use std::collections::HashSet;

use strsim::osa_distance;

use super::settings::{SETTINGS, Setting};

/// Words at the end of a name that give a unit, or say that the value is in a file. People leave these words out, or
/// use others.
const ENDINGS: [&str; 18] = [
    "SECONDS", "SECS", "SEC", "S", "MS", "MILLIS", "MINUTES", "MINS", "MIN", "HOURS", "HOUR", "DAYS", "PER", "KIB",
    "MIB", "BYTES", "FILE", "PATH",
];

/// The setting that `name` is nearly called, if `name` is not itself a setting.
///
/// The rules are strict, because the environment has names of other programs: those of the system (`HOSTNAME`), of
/// Kubernetes (`REDIS_PORT`), of frameworks (`DJANGO_SECRET_KEY`).
pub(super) fn meant(name: &str) -> Option<String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let settings: HashSet<String> = SETTINGS.iter().flat_map(Setting::names).collect();
    if settings.contains(name) {
        return None;
    }
    let upper = name.to_ascii_uppercase();
    let near = settings.into_iter().filter(|setting| is_near(&upper, setting));
    // The order of a set is random, so the name decides between settings that are equally near.
    near.min_by_key(|setting| (osa_distance(&upper, setting), setting.clone()))
}

fn is_near(name: &str, setting: &str) -> bool {
    if squeezed(name) == squeezed(setting) {
        return true;
    }
    let (words, of_setting) = (words(name), words(setting));
    // `HOST` and `PORT` have too many neighbours.
    if words.len() < 2 || of_setting.len() < 2 {
        return false;
    }
    stem(&words) == stem(&of_setting)
        || sorted(&words) == sorted(&of_setting)
        || lacks_one(&words, &of_setting)
        || ends_shorter(&words, &of_setting)
        || osa_distance(name, setting) <= typing_errors(setting, words[0] == of_setting[0])
}

/// Without the characters between words.
fn squeezed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn words(name: &str) -> Vec<&str> {
    name.split(['_', '-', '.']).filter(|word| !word.is_empty()).collect()
}

fn sorted<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut sorted = words.to_vec();
    sorted.sort_unstable();
    sorted
}

/// The words without the endings, but at least two.
fn stem<'a, 'b>(words: &'a [&'b str]) -> &'a [&'b str] {
    match words {
        [stem_of @ .., last] if stem_of.len() >= 2 && ENDINGS.contains(last) => stem(stem_of),
        _ => words,
    }
}

/// Whether the words are those of the setting without one, as in `AUTH_KEY`. The first word must be there. So must the
/// last, because `REFRESH_TOKEN` is a name of its own, unless it is `KEY`, as in `AUTH_SECRET`.
fn lacks_one(words: &[&str], of_setting: &[&str]) -> bool {
    let without = |left_out: usize| {
        let kept = of_setting.iter().enumerate().filter(move |(n, _)| *n != left_out);
        kept.map(|(_, word)| word).eq(words)
    };
    let end = if of_setting.ends_with(&["KEY"]) { of_setting.len() } else { of_setting.len() - 1 };
    (1..end).any(without)
}

/// Whether the names differ only in the length of their last words, as `REDIS_PASS` and `REDIS_PASSWORD` do.
fn ends_shorter(words: &[&str], of_setting: &[&str]) -> bool {
    let ([before @ .., last], [before_in_setting @ .., last_of_setting]) = (words, of_setting) else { return false };
    before == before_in_setting
        && last.len().min(last_of_setting.len()) >= 3
        && (last.starts_with(last_of_setting) || last_of_setting.starts_with(last))
}

/// How many typing errors a name may have. Between short names, more errors lead to a name that another program uses:
/// `MEDIA_URL` is two letters from `REDIS_URL`.
fn typing_errors(setting: &str, same_first_word: bool) -> usize {
    match (setting.len(), same_first_word) {
        (14.., true) => 3,
        (9.., true) | (12.., false) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_a_setting_is_found() {
        for (name, setting) in [
            ("REDIS_URI", "REDIS_URL"),
            ("REDIS_URLS", "REDIS_URL"),
            ("redis_url", "REDIS_URL"),
            ("REDISURL", "REDIS_URL"),
            ("REDIS-URL", "REDIS_URL"),
            ("REIDS_URL", "REDIS_URL"),
            ("REDIS_URI_FILE", "REDIS_URL_FILE"),
            ("REDIS_PASS", "REDIS_PASSWORD"),
            ("REDIS_PASSWD", "REDIS_PASSWORD"),
            ("REDIS_USER", "REDIS_USERNAME"),
            ("REDIS_TLS_CA", "REDIS_TLS_CA_FILE"),
            ("REDIS_PREFIX", "REDIS_KEY_PREFIX"),
            ("AUTH_SECRETKEY", "AUTH_SECRET_KEY"),
            ("AUTH_SECRET", "AUTH_SECRET_KEY"),
            ("REFRESH_SECRET", "REFRESH_SECRET_KEY"),
            ("REFRESH_SECRET_KEYFILE", "REFRESH_SECRET_KEY_FILE"),
            ("ACCESS_TOKEN_TTL", "ACCESS_TOKEN_TTL_SECONDS"),
            ("ACCESS_TOKEN_TTL_MINUTES", "ACCESS_TOKEN_TTL_SECONDS"),
            ("ACESS_TOKEN_TTL_SECONDS", "ACCESS_TOKEN_TTL_SECONDS"),
            ("MIN_PASSWORD_LENGTH", "PASSWORD_MIN_LENGTH"),
            ("PASSWORD_LENGTH", "PASSWORD_MIN_LENGTH"),
            ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
            ("TRUSTED_PROXIES_FILE", "TRUSTED_PROXIES"),
            ("SIGNUP_LIMIT", "SIGNUP_LIMIT_PER_HOUR"),
            ("KEEP_ALIVE", "KEEP_ALIVE_SECONDS"),
            ("TOKEN_REMOVALS", "TOKEN_REMOVAL"),
            ("DATADIR", "DATA_DIR"),
            ("DATA_DIRECTORY", "DATA_DIR"),
            ("Port", "PORT"),
        ] {
            assert_eq!(meant(name).as_deref(), Some(setting), "{name}");
        }
    }

    #[test]
    fn settings_and_names_of_other_programs_are_left_alone() {
        let ours = SETTINGS.iter().flat_map(Setting::names);
        assert_eq!(ours.filter_map(|name| meant(&name)).collect::<Vec<_>>(), Vec::<String>::new());
        for name in "PATH HOSTNAME HOSTTYPE HOSTS PORTS USER HOME LANG LC_ALL LOGNAME MAIL TERM TZ TMPDIR PWD SHLVL _ \
                     DEBUG CI NODE_ENV JAVA_HOME JAVA_DIR PYTHONPATH RUST_LOG RUST_BACKTRACE LOG_LEVEL LOG_DIR \
                     HTTP_PROXY NO_PROXY http_proxy XDG_DATA_DIRS XDG_CONFIG_DIRS XDG_RUNTIME_DIR SSH_AUTH_SOCK \
                     KUBERNETES_SERVICE_HOST KUBERNETES_PORT_443_TCP_ADDR REDIS_PORT REDIS_SERVICE_HOST \
                     REDIS_SERVICE_PORT REDIS_SERVICE_PORT_REDIS REDIS_PORT_6379_TCP REDIS_PORT_6379_TCP_ADDR \
                     REDIS_PORT_6379_TCP_PROTO REDIS_HOST REDIS_DB REDIS_TLS REDIS_TLS_URL AUTH_SERVICE_PORT \
                     AUTH_SERVICE_SERVICE_HOST AUTH_SERVICE_SERVICE_PORT_HTTP AUTH_SERVICE_PORT_3000_TCP_ADDR \
                     CREDENTIALS_DIRECTORY STATE_DIRECTORY INVOCATION_ID JOURNAL_STREAM NOTIFY_SOCKET DATABASE_URL \
                     MEDIA_URL STATIC_URL SECRET_KEY DJANGO_SECRET_KEY AWS_SECRET_KEY AWS_SECRET_ACCESS_KEY \
                     STRIPE_SECRET_KEY JWT_SECRET JWT_SECRET_KEY API_SECRET_KEY APP_SECRET_KEY ACCESS_TOKEN \
                     REFRESH_TOKEN GITHUB_TOKEN GITHUB_ACTIONS"
            .split_whitespace()
        {
            assert_eq!(meant(name), None, "{name}");
        }
        assert_eq!(meant("REDIS_URL\n"), None);
        assert_eq!(meant(""), None);
    }
}
