//! The texts of the mails.

use std::{collections::HashSet, fmt, path::Path, sync::Arc};

use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::{
    message::{Kind, Message},
    template_files::template_files,
};

/// The templates of all mails. Clones share them.
#[derive(Clone)]
pub struct Templates {
    environment: Arc<Environment<'static>>,
    /// The name of the service in the mails.
    service: Arc<str>,
}

/// The texts of a mail.
pub(crate) struct Texts {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Templates {
    /// The built-in templates. A file in `folder` replaces the template with the name of the file: `NAME.txt`, whose
    /// first line is the subject, or `NAME.html`. `service` is the name of the service in the mails. Renders every
    /// template once.
    ///
    /// # Errors
    /// For each fault, the rest of a sentence that begins with the name of the folder's setting.
    pub fn load(folder: Option<&Path>, service: &str) -> Result<Self, Vec<String>> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut faults = Vec::new();
        for (name, text) in template_files(folder, &mut faults) {
            if let Err(error) = environment.add_template_owned(name, text) {
                faults.push(format!("has a template with an error: {error}"));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let templates = Self { environment: Arc::new(environment), service: service.into() };
        faults.extend(Kind::ALL.into_iter().flat_map(|kind| templates.faults(kind)));
        if faults.is_empty() { Ok(templates) } else { Err(faults) }
    }

    /// The texts of a mail.
    ///
    /// # Errors
    /// A sentence for the log, without address and link.
    pub(crate) fn render(&self, message: &Message) -> Result<Texts, String> {
        let name = message.kind().name();
        let values = values(&self.service, message);
        // The error of a template may show a value.
        let render = |name: String| {
            let template = self.environment.get_template(&name);
            let text = template.and_then(|template| template.render(values.clone()));
            text.map_err(|error| format!("the template {name} has failed: {}", error.kind()))
        };
        let text = render(format!("{name}.txt"))?;
        let (subject, text) = text.split_once('\n').unwrap_or((&text, ""));
        let (subject, text) = (subject.trim(), text.trim_matches(['\r', '\n']));
        Ok(Texts { subject: subject.to_owned(), text: format!("{text}\n"), html: render(format!("{name}.html"))? })
    }

    /// What is wrong with the templates of a kind, found with sample values.
    fn faults(&self, kind: Kind) -> Vec<String> {
        let mut faults = Vec::new();
        for sample in samples(kind) {
            let known = names(&sample);
            for end in ["txt", "html"] {
                let file = format!("{}.{end}", kind.name());
                let Ok(template) = self.environment.get_template(&file) else { continue };
                let mut unknown: Vec<_> = template.undeclared_variables(false).difference(&known).cloned().collect();
                unknown.sort_unstable();
                for variable in unknown {
                    faults.push(format!("has the unknown variable {variable} in {file}"));
                }
                if let Err(error) = template.render(values(&self.service, &sample)) {
                    faults.push(format!("has a template that fails: {error}"));
                }
            }
            if faults.is_empty() {
                faults.extend(self.render(&sample).map_or_else(|sentence| vec![sentence], |texts| lacks(kind, &texts)));
            }
        }
        faults.sort_unstable();
        faults.dedup();
        faults
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates").field("service", &self.service).finish_non_exhaustive()
    }
}

/// A link without characters that HTML escapes.
const SAMPLE_LINK: &str = "sample-link";

/// A mail with sample values for each branch of a template.
fn samples(kind: Kind) -> Vec<Message> {
    let (to, link) = ("ada@example.com".to_owned(), SAMPLE_LINK.to_owned());
    match kind {
        Kind::VerifyEmail => vec![Message::VerifyEmail { to, link }],
        Kind::ResetPassword => vec![Message::ResetPassword { to, link }],
        Kind::ChangeEmail => vec![Message::ChangeEmail { to, link }],
        Kind::EmailChangeRequested => vec![Message::EmailChangeRequested { to }],
        Kind::EmailChanged => vec![Message::EmailChanged { to }],
        Kind::PasswordChanged => vec![Message::PasswordChanged { to }],
        Kind::SecondFactorChanged => vec![
            Message::SecondFactorChanged { to: to.clone(), enabled: true },
            Message::SecondFactorChanged { to, enabled: false },
        ],
    }
}

/// The variables of a mail.
fn values(service: &str, message: &Message) -> Value {
    let (link, enabled) = (message.link(), message.enabled());
    let hours = message.kind().link_seconds().map(|seconds| seconds / 3_600);
    match (link, enabled) {
        (Some(link), _) => context! { service, email => message.to(), link, hours },
        (None, Some(enabled)) => context! { service, email => message.to(), enabled },
        (None, None) => context! { service, email => message.to() },
    }
}

/// The names of the variables of a mail, and of the functions that every template may call.
fn names(message: &Message) -> HashSet<String> {
    let more: &[&str] = match (message.link(), message.enabled()) {
        (Some(_), _) => &["link", "hours"],
        (None, Some(_)) => &["enabled"],
        (None, None) => &[],
    };
    ["service", "email", "range", "dict", "namespace"].iter().chain(more).map(|name| (*name).to_owned()).collect()
}

/// What the texts of a mail lack.
fn lacks(kind: Kind, texts: &Texts) -> Vec<String> {
    let name = kind.name();
    let mut lacks = Vec::new();
    if texts.subject.is_empty() {
        lacks.push(format!("has no subject in the first line of {name}.txt"));
    }
    if kind.link_seconds().is_some() {
        for (end, text) in [("txt", &texts.text), ("html", &texts.html)] {
            if !text.contains(SAMPLE_LINK) {
                lacks.push(format!("has no {{{{ link }}}} in {name}.{end}"));
            }
        }
    }
    lacks
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load(files: &[(&str, &str)]) -> Result<Templates, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Templates::load(Some(folder.path()), "Shop <A&B>")
    }

    fn reset() -> Message {
        Message::ResetPassword {
            to: "o'neil&@example.com".to_owned(),
            link: "https://a.example/?x=1&y#token=t".to_owned(),
        }
    }

    #[test]
    fn every_built_in_mail_has_a_subject_a_text_and_html() {
        let templates = Templates::load(None, "Shop").unwrap();
        for message in Kind::ALL.into_iter().flat_map(samples) {
            let Texts { subject, text, html } = templates.render(&message).unwrap();
            assert!(subject.contains("Shop") && !text.contains(&subject), "{subject}\n{text}");
            assert!(text.contains("ada@example.com") && !text.starts_with('\n') && text.ends_with(".\n"), "{text:?}");
            assert!(html.contains("ada@example.com") && html.contains(&format!("<title>{subject}</title>")), "{html}");
            assert!(text.lines().all(|line| line.len() <= 120), "{text}");
        }
    }

    #[test]
    fn html_is_escaped_and_text_is_not() {
        let texts = load(&[]).unwrap().render(&reset()).unwrap();
        assert!(texts.subject.ends_with("Shop <A&B>") && texts.text.contains("\nhttps://a.example/?x=1&y#token=t\n"));
        assert!(texts.text.contains("o'neil&@example.com at Shop <A&B>"), "{}", texts.text);
        assert!(texts.html.contains("o&#x27;neil&amp;@example.com at Shop &lt;A&amp;B&gt;"), "{}", texts.html);
        assert!(texts.html.contains("href=\"https:&#x2f;&#x2f;a.example&#x2f;?x=1&amp;y#token=t\""), "{}", texts.html);
    }

    #[test]
    fn a_file_replaces_one_template() {
        let own = "\u{feff}Neues Passwort für {{ service }}\r\n\r\n{{ link }} gilt {{ hours }} Stunde\r\n";
        let texts = load(&[("reset_password.txt", own), ("README.md", "{{ x }}"), (".hidden.txt", "")]).unwrap();
        let texts = texts.render(&reset()).unwrap();
        assert_eq!(texts.subject, "Neues Passwort für Shop <A&B>");
        assert_eq!(texts.text, "https://a.example/?x=1&y#token=t gilt 1 Stunde\n");
        assert!(texts.html.contains("Choose a new password"));
    }

    #[test]
    fn a_wrong_template_is_found_at_the_start() {
        for (name, text, fault) in [
            ("reset.txt", "a\n{{ link }}", "has the template reset.txt, but there is no such mail"),
            ("reset_password.txt", "a\n{{ link }", "has a template with an error: syntax error"),
            ("reset_password.txt", "a\n{{ link }}{{ name }}", "has the unknown variable name in reset_password.txt"),
            (
                "reset_password.html",
                "{{ link }}{% if 0 %}{{ x }}{% endif %}",
                "has the unknown variable x in reset_password.html",
            ),
            ("reset_password.html", "{{ link }}{% include 'a' %}", "has a template with an error"),
            ("reset_password.html", "{{ link }}{{ email|nothing }}", "has a template"),
            ("reset_password.txt", "a\nb", "has no {{ link }} in reset_password.txt"),
            ("reset_password.html", "b", "has no {{ link }} in reset_password.html"),
            ("reset_password.txt", "\n{{ link }}", "has no subject in the first line of reset_password.txt"),
            ("password_changed.txt", "a\n{{ link }}", "has the unknown variable link in password_changed.txt"),
        ] {
            let faults = load(&[(name, text)]).unwrap_err();
            assert!(faults.iter().any(|found| found.starts_with(fault)), "{text}: {faults:?}");
        }
        assert!(Templates::load(Some(Path::new("/nothing")), "Shop").unwrap_err()[0].starts_with("must be a folder"));
    }
}
