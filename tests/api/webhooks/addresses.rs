//! Where webhooks may go.

use super::scene::{Scene, assert_prints_no_secret};
use crate::support::{Certificates, Receiver, Store, wait_until};

/// `localhost` is a name, so the settings accept it. Its address is looked up and checked before each connection.
#[test]
fn a_name_with_a_private_address_is_never_connected_to() {
    let certificates = Certificates::shared();
    let receiver = Receiver::with_tls(&certificates);
    let settings = [("WEBHOOK_ALLOW_PRIVATE", "off"), ("SSL_CERT_FILE", &*certificates.path("ca.pem"))];
    let app = Scene::new(Store::Embedded).start(&receiver, &settings);
    app.new_account();
    wait_until("the delivery is refused, and the log says why", || {
        app.output().contains("only addresses of private networks")
    });
    assert_eq!((receiver.connections(), receiver.hooks().len()), (0, 0));
    assert!(app.metric(r#"webhook_failures_total{reason="not_public"}"#).unwrap() > 0.0);
    assert_eq!(app.metric("webhook_outbox_length"), Some(1.0));
    assert_prints_no_secret(&app);
}
