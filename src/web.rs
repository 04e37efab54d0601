//! HTTP clients for everything that is not AWS, with the TLS stack of the AWS SDK.

use reqwest::{Client, ClientBuilder};

/// Value of the `User-Agent` header. Cloudflare rejects requests without one before they reach Resend
/// (<https://resend.com/docs/knowledge-base/403-error-1010>), and reqwest sends none by default.
pub const USER_AGENT: &str = concat!("rebound/", env!("CARGO_PKG_VERSION"));

/// Returns a client builder with reqwest's defaults and three changes. It sends [`USER_AGENT`]. Its cryptography
/// provider is ring. It follows no redirect, so that a key is never sent to another host.
#[expect(clippy::disallowed_methods, reason = "the only place that builds a client")]
pub fn builder() -> ClientBuilder {
    // An error only means that a provider is already installed: the same one, by an earlier call.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().user_agent(USER_AGENT).redirect(reqwest::redirect::Policy::none())
}

/// Returns a client for this URL. For plain HTTP, as with local stubs, no certificates are loaded: loading them takes
/// longer than many calls.
pub fn client_for(url: &str) -> Client {
    if url.starts_with("http:") {
        return builder().tls_certs_only([]).build().unwrap_or_default();
    }
    client()
}

/// Returns a client with all installed certificates. On a machine without certificates, every `https:` request fails.
pub fn client() -> Client {
    builder().build().or_else(|_| builder().tls_certs_only([]).build()).unwrap_or_default()
}
