//! Addresses in the form of SMTP.

use std::borrow::Cow;

use auth_service_records::user::Email;
use lettre::Address;

/// The address in the form of SMTP: the domain in the ASCII form of DNS, the local part in quotation marks if needed.
pub(crate) fn address(email: &Email) -> Option<Address> {
    let ascii = Email::ascii_form(email.as_str())?;
    let (local, domain) = ascii.rsplit_once('@')?;
    // lettre checks by rules that are stricter than those of HTML5. `Email` has no character that could end a command.
    Some(Address::new_dangerous(local_part(local), domain))
}

/// HTML5 allows dots that RFC 5321 (section 4.1.2) allows in quotation marks only.
fn local_part(local: &str) -> Cow<'_, str> {
    let is_dot_string = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    if is_dot_string { local.into() } else { format!("\"{local}\"").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_form_of_smtp() {
        for (email, expected) in [
            ("Ada@example.com", "Ada@example.com"),
            ("ada@localhost", "ada@localhost"),
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
            ("a..b@example.com", "\"a..b\"@example.com"),
            (".a@example.com", "\".a\"@example.com"),
            ("a.@example.com", "\"a.\"@example.com"),
            ("o'neil+{}@example.com", "o'neil+{}@example.com"),
        ] {
            assert_eq!(address(&Email::parse(email).unwrap()).unwrap().to_string(), expected);
        }
    }
}
