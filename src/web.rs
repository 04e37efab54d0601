//! An HTTP client for whatever is not AWS, on the TLS stack that the AWS SDK has too.

use reqwest::{Client, ClientBuilder};

/// A client with reqwest's defaults, but for the provider of cryptography, which is ring, and redirects: none is followed, since a key
/// must not travel to where an answer points.
pub fn builder() -> ClientBuilder {
    // An error only says that there is one already: the same, from an earlier call.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(reqwest::redirect::Policy::none())
}

/// The same, built. On a machine without certificates it talks to no `https:` address.
pub fn client() -> Client {
    builder().build().or_else(|_| builder().tls_certs_only([]).build()).unwrap_or_default()
}
