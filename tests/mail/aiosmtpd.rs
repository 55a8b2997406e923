//! Mails to aiosmtpd, which takes them, refuses them for now, or refuses them for good.

use std::time::Duration;

use auth_service_mail::{Kind, Message, Retry};
use serde_json::Value;

use crate::{
    receiver::Receiver,
    scene::{FAST, LINK, Scene, failed, lost, sent},
    support::free_port,
};

/// A mail of each kind.
fn messages(to: &str) -> Vec<Message> {
    let (to, link) = (to.to_owned(), LINK.to_owned());
    vec![
        Message::VerifyEmail { to: to.clone(), link: link.clone() },
        Message::ResetPassword { to: to.clone(), link: link.clone() },
        Message::ChangeEmail { to: to.clone(), link },
        Message::EmailChangeRequested { to: to.clone() },
        Message::EmailChanged { to: to.clone() },
        Message::PasswordChanged { to: to.clone() },
        Message::SecondFactorChanged { to: to.clone(), enabled: true },
        Message::SecondFactorChanged { to, enabled: false },
    ]
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    mail["headers"][name].as_str().unwrap_or_else(|| panic!("no {name} in {mail}"))
}

#[test]
fn every_mail_arrives_as_text_and_as_html() {
    let receiver = Receiver::start();
    let scene = Scene::start(&receiver.url(), FAST);
    let mut ids = Vec::new();
    for message in messages("Ada@Example.com") {
        let kind = message.kind();
        let has_link = matches!(kind, Kind::VerifyEmail | Kind::ResetPassword | Kind::ChangeEmail);
        scene.send(message);
        let mail = receiver.mail();
        assert_eq!(mail["envelope_from"], "no-reply@xn--bcher-kva.example", "{mail}");
        assert_eq!(mail["envelope_to"][0], "Ada@Example.com", "{mail}");
        assert_eq!(mail["client"], "xn--bcher-kva.example", "{mail}");
        assert_eq!(mail["kind"], "multipart/alternative", "{mail}");
        assert!(mail["longest_line"].as_u64().unwrap() <= 998, "{mail}");
        assert_eq!(header(&mail, "From"), "\"Bücher & Co.\" <no-reply@xn--bcher-kva.example>");
        assert_eq!(header(&mail, "To"), "Ada@Example.com");
        assert_eq!(header(&mail, "Auto-Submitted"), "auto-generated");
        assert!(header(&mail, "Subject").contains("Bücher & Co."), "{mail}");
        assert!(!header(&mail, "Date").is_empty());
        assert!(header(&mail, "Message-ID").ends_with("@xn--bcher-kva.example>"), "{mail}");
        ids.push(header(&mail, "Message-ID").to_owned());
        let (text, html) = (mail["text"].as_str().unwrap(), mail["html"].as_str().unwrap());
        assert!(text.contains("Bücher & Co.") && html.contains("Bücher &amp; Co."), "{mail}");
        let escaped = LINK.replace('&', "&amp;").replace('/', "&#x2f;");
        assert_eq!(text.lines().any(|line| line == LINK), has_link, "{mail}");
        assert_eq!(html.contains(&format!("href=\"{escaped}\"")), has_link, "{mail}");
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 8, "each mail has an id of its own");
    scene.wait_for("mails_sent_total{kind=\"second_factor_changed\"}", 2.0);
    scene.wait_for("mails_queued", 0.0);
    assert_eq!(scene.metric("mail_delivery_seconds_count"), 8.0);
}

#[test]
fn an_address_is_written_as_smtp_wants() {
    let receiver = Receiver::start();
    let scene = Scene::start(&receiver.url(), FAST);
    for (to, expected) in [
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        // aiosmtpd takes the quotation marks off.
        ("a..b@example.com", "a..b@example.com"),
        ("o'neil+{x}@example.com", "o'neil+{x}@example.com"),
    ] {
        scene.send_to(to);
        assert_eq!(receiver.mail()["envelope_to"][0], expected);
    }
}

#[test]
fn a_mail_that_is_refused_for_now_is_sent_later_and_once() {
    let receiver = Receiver::start();
    let scene = Scene::start(&receiver.url(), FAST);
    scene.send_to("busy-2@example.com");
    assert_eq!(receiver.mail()["envelope_to"][0], "busy-2@example.com");
    scene.wait_for(&sent(), 1.0);
    assert_eq!(scene.metric(&failed("busy")), 2.0);
    // The server may have kept the mail that it refused.
    scene.send_to("late-1@example.com");
    let [first, second] = [receiver.mail(), receiver.mail()];
    assert_eq!(header(&first, "Message-ID"), header(&second, "Message-ID"));
    scene.wait_for(&sent(), 2.0);
    scene.wait_for("mails_queued", 0.0);
    receiver.assert_no_more();
}

#[test]
fn a_mail_that_is_refused_for_good_is_not_sent_again() {
    let receiver = Receiver::start();
    let scene = Scene::start(&receiver.url(), FAST);
    scene.send_to("unknown@example.com");
    scene.wait_for(&lost("recipient"), 1.0);
    scene.send_to("spam@example.com");
    scene.wait_for(&lost("refused"), 1.0);
    assert_eq!((scene.metric(&failed("recipient")), scene.metric(&failed("refused"))), (1.0, 1.0));
    assert_eq!(receiver.mail()["envelope_to"][0], "spam@example.com");
    receiver.assert_no_more();
    scene.wait_for("mails_queued", 0.0);
}

#[test]
fn the_login_comes_from_the_url() {
    let receiver = Receiver::start();
    let scene = Scene::start(&receiver.url_with("user%40example.com:p%40ss%3Aw%2Frd"), FAST);
    scene.send_to("ada@example.com");
    assert_eq!(receiver.mail()["login"], "user@example.com");
    let retry = Retry { give_up_after: Duration::from_millis(100), ..FAST };
    for wrong in ["user%40example.com:wrong", "other:p%40ss%3Aw%2Frd"] {
        let scene = Scene::start(&receiver.url_with(wrong), retry);
        scene.send_to("ada@example.com");
        scene.wait_for(&lost("expired"), 1.0);
        assert!(scene.metric(&failed("login")) >= 1.0);
    }
    // Without a login, the server refuses the sender.
    let scene = Scene::start(&format!("smtp://127.0.0.1:{}", receiver.port_with_login), FAST);
    scene.send_to("ada@example.com");
    scene.wait_for(&lost("refused"), 1.0);
    receiver.assert_no_more();
}

#[test]
fn mails_wait_for_a_server_that_is_away() {
    let port = free_port();
    let scene = Scene::start(&format!("smtp://127.0.0.1:{port}"), FAST);
    for n in 0..20 {
        scene.send_to(&format!("user-{n}@example.com"));
    }
    scene.wait_for("mails_queued", 20.0);
    let receiver = Receiver::start_at(port);
    scene.wait_for(&sent(), 20.0);
    let mut to: Vec<_> = (0..20).map(|_| receiver.mail()["envelope_to"][0].as_str().unwrap().to_owned()).collect();
    to.sort_unstable();
    to.dedup();
    assert_eq!(to.len(), 20);
    assert!(scene.metric(&failed("unreachable")) >= 20.0);
    receiver.assert_no_more();
}
