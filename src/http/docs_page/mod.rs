//! `/docs`: a page that shows `/openapi.json` with Swagger UI, and sends requests to the API.
//!
//! The program contains all files of the page. The files of Swagger UI come from a crate (`build.rs`).

mod file;

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};

use self::file::File;
use super::{extract::query::NoQuery, problem_response::Problem};

/// The page loads nothing from another origin, and sends nothing to one. Swagger UI needs the images in `data:`.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLES: &str = "text/css; charset=utf-8";

static PAGE: File = File::new("text/html; charset=utf-8", include_bytes!("page.html"));
static SWAGGER_UI_SCRIPT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz"));
static SWAGGER_UI_STYLES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz"));
/// The files below `/docs/`.
static FILES: [(&str, File); 4] = [
    ("page.js", File::new(SCRIPT, include_bytes!("page.js"))),
    ("page.css", File::new(STYLES, include_bytes!("page.css"))),
    ("swagger-ui-bundle.js", File::compressed(SCRIPT, SWAGGER_UI_SCRIPT)),
    ("swagger-ui.css", File::compressed(STYLES, SWAGGER_UI_STYLES)),
];

pub(super) async fn page(_: NoQuery, headers: HeaderMap) -> Response {
    protected(PAGE.answer(&headers))
}

pub(super) async fn file(Path(name): Path<String>, _: NoQuery, headers: HeaderMap) -> Result<Response, Problem> {
    let file = FILES.iter().find(|(known, _)| *known == name);
    file.map(|(_, file)| protected(file.answer(&headers))).ok_or(Problem::NO_SUCH_ROUTE)
}

/// Adds the headers that protect the reader and the tokens on the page.
fn protected(mut response: Response) -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    response.headers_mut().extend(headers);
    response
}
