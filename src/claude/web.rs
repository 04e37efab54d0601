//! An HTTP client for whatever is not AWS, on the TLS stack that the AWS SDK has too.

use reqwest::{Client, ClientBuilder};

/// The `User-Agent` of every request. Cloudflare refuses requests without one before they reach Resend
/// (<https://resend.com/docs/knowledge-base/403-error-1010>), and reqwest sends none by itself.
pub const USER_AGENT: &str = concat!("rebound/", env!("CARGO_PKG_VERSION"));

/// A client with reqwest's defaults, but for three things: it says who asks ([`USER_AGENT`]); its provider of cryptography is ring; and it
/// follows no redirect, since a key must not travel to where an answer points.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn builder() -> ClientBuilder {
    // An error only says that there is one already: the same, from an earlier call.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().user_agent(USER_AGENT).redirect(reqwest::redirect::Policy::none())
}

/// A client for this URL. One that speaks plain HTTP, as the stand-ins on this machine do, is spared the certificates: to read all that are
/// installed takes a test longer than many calls.
pub fn client_for(url: &str) -> Client {
    if url.starts_with("http:") {
        return builder().tls_certs_only([]).build().unwrap_or_default();
    }
    client()
}

/// The same, built. On a machine without certificates it talks to no `https:` address.
pub fn client() -> Client {
    builder().build().or_else(|_| builder().tls_certs_only([]).build()).unwrap_or_default()
}
