//! The page of docs/accounts.md, which links in mails open.

use serde_json::{Value, json};

use crate::{
    chromium::Chromium,
    pages::Pages,
    support::{Mailbox, PASSWORD, Store, TestApp, unique_email},
};

const NEW_PASSWORD: &str = "another horse";

/// A server whose links open a page.
struct Scene {
    pages: Pages,
    mailbox: Mailbox,
    app: TestApp,
}

impl Scene {
    fn start() -> Self {
        let (pages, mailbox) = (Pages::start(), Mailbox::start());
        let origin = format!("http://localhost:{}", pages.port());
        let settings = [
            ("SMTP_URL", mailbox.url()),
            ("SMTP_FROM", "no-reply@example.com".to_owned()),
            ("PUBLIC_URL", format!("{origin}/account")),
            ("EMAIL_VERIFICATION", "optional".to_owned()),
            ("CORS_ORIGINS", origin),
        ];
        let settings = settings.each_ref().map(|(name, value)| (*name, &**value));
        Self { pages, mailbox, app: TestApp::start_with(Store::Embedded, &settings) }
    }

    /// Opens the page as a user does, and clicks its button, if there is one. Returns what the page shows then.
    fn open(&self, link: &str) -> Value {
        let api = format!("http://localhost:{}", self.app.port());
        self.pages.set_plan(&json!({"api": api, "new_password": NEW_PASSWORD}));
        let _browser = Chromium::open(link);
        self.pages.report()
    }

    /// The link in the next mail.
    fn link(&self, email: &str) -> String {
        let mail = self.mailbox.wait_for(email);
        let link = mail.text.split_whitespace().find(|word| word.contains("#token="));
        link.unwrap_or_else(|| panic!("no link in {mail:?}")).to_owned()
    }
}

#[test]
fn links_open_a_page_that_verifies_the_email_and_resets_the_password() {
    let (scene, email) = (Scene::start(), unique_email());
    let app = &scene.app;
    assert_eq!(app.sign_up(&email, PASSWORD).status, 201);
    let verified = scene.open(&scene.link(&email));
    assert_eq!(verified, json!({"form": "confirm", "said": "Done. Please sign in.", "fragment": ""}));
    let session = app.authenticate(&email, PASSWORD).json();
    let token = session["access_token"].as_str().unwrap();
    assert_eq!(app.current_user(token).json()["data"]["email_verified"], true);

    let said = "If there is an account with this email, a mail is on its way";
    app.send_json("POST", "/password/forgot", &json!({"email": email})).assert(202, &json!({"result": said}));
    let link = scene.link(&email);
    let reset = scene.open(&link);
    assert_eq!(reset, json!({"form": "reset", "said": "Done. Please sign in.", "fragment": ""}));
    app.authenticate(&email, PASSWORD).assert_error(401, "invalid_credentials");
    assert_eq!(app.authenticate(&email, NEW_PASSWORD).status, 200);
    app.current_user(token).assert_error(401, "invalid_token");

    // The user opens the same mail once more, and then the page without a mail.
    let again = scene.open(&link);
    let said = "The link was used before or is no longer valid; request a new mail";
    let (page, fragment) = link.split_once('#').unwrap();
    let expected = json!({"form": "reset", "said": said, "stillShown": "reset", "fragment": format!("#{fragment}")});
    assert_eq!(again, expected);
    let without = scene.open(page);
    assert_eq!(without, json!({"said": "This page needs the link from a mail.", "fragment": ""}));
}
