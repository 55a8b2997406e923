//! A tab that a test drives by the protocol of the developer tools: it clicks, types, and records the requests of the page.

use std::{
    io::{BufRead, BufReader, Write},
    process::ChildStdin,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::chromium::Chromium;

/// A browser is slow on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one tab.
pub(crate) struct DrivenTab {
    _browser: Chromium,
    pipe: ChildStdin,
    messages: mpsc::Receiver<Value>,
    session: Option<String>,
    last_call: u64,
    requests: Vec<String>,
    violations: Vec<Value>,
}

impl DrivenTab {
    /// An empty tab.
    pub(crate) fn start() -> Self {
        let (browser, pipe, output) = Chromium::with_pipes();
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            // A zero byte ends each message.
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                // Fails when the test has ended.
                let _ = sender.send(serde_json::from_slice(&message).unwrap());
            }
        });
        let (requests, violations) = (Vec::new(), Vec::new());
        let mut tab = Self { _browser: browser, pipe, messages, session: None, last_call: 0, requests, violations };
        let target = tab.call("Target.createTarget", &json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = tab.call("Target.attachToTarget", &target);
        tab.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Network", "Audits", "Page"] {
            tab.call(&format!("{domain}.enable"), &json!({}));
        }
        tab
    }

    /// Opens a page.
    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", &json!({"url": url}));
    }

    /// Gives the page the screen of a phone.
    pub(crate) fn make_narrow(&mut self) {
        let screen = json!({"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true});
        self.call("Emulation.setDeviceMetricsOverride", &screen);
    }

    /// The addresses of all requests of the page so far.
    pub(crate) fn requests(&self) -> &[String] {
        &self.requests
    }

    /// What the Content-Security-Policy of the page has blocked so far.
    pub(crate) fn violations(&self) -> &[Value] {
        &self.violations
    }

    /// The value of an expression on the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", &asked);
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].take()
    }

    /// Waits until the expression has a value that is neither null nor false, and returns the value.
    pub(crate) fn wait_for(&mut self, expression: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let value = self.value(expression);
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            assert!(Instant::now() < end, "{expression}: the page shows {}", self.value("document.body.innerText"));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Clicks into the middle of the element that the expression finds, once the element exists.
    pub(crate) fn click(&mut self, element: &str) {
        self.wait_for(&format!("Boolean({element})"));
        let middle = self.value(&format!(
            "(() => {{
                const element = {element};
                element.scrollIntoView({{block: 'center', behavior: 'instant'}});
                const box = element.getBoundingClientRect();
                return {{x: box.x + box.width / 2, y: box.y + box.height / 2}};
            }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "button": "left", "clickCount": 1, "x": middle["x"], "y": middle["y"]});
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// Replaces the text of an input field.
    pub(crate) fn type_into(&mut self, field: &str, text: &str) {
        self.click(field);
        self.value(&format!("{field}.select()"));
        self.call("Input.insertText", &json!({"text": text}));
    }

    /// Calls a method of the protocol, and returns the result.
    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last_call += 1;
        let mut message = json!({"id": self.last_call, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        write!(self.pipe, "{message}\0").unwrap();
        loop {
            let mut message = self.messages.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{method}: {error}"));
            if message["id"] == self.last_call {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].take();
            }
            self.note(&message["method"], &message["params"]);
        }
    }

    fn note(&mut self, event: &Value, details: &Value) {
        match event.as_str() {
            Some("Network.requestWillBeSent") => {
                self.requests.push(details["request"]["url"].as_str().unwrap().to_owned());
            }
            Some("Audits.issueAdded") if details["issue"]["code"] == "ContentSecurityPolicyIssue" => {
                self.violations.push(details["issue"]["details"].clone());
            }
            _ => {}
        }
    }
}
