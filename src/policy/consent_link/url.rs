//! The address of the function `consent`, and the links below it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{ConsentPurpose, ConsentToken};

/// An invalid `CONSENT_URL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must be https:// and a host, without a path (http:// only for this machine), such as https://mail.example.com: \
     the stack's output ConsentUrl, or a domain in front of it"
)]
pub struct ConsentUrlError;

/// The origin of the links: `CONSENT_URL`, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentUrl(String);

impl ConsentUrl {
    /// Returns the origin.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Builds the link for this purpose.
    pub fn link(&self, purpose: ConsentPurpose, token: &ConsentToken) -> String {
        format!("{}/{}/{}", self.0, purpose.as_str(), token.as_str())
    }
}

impl fmt::Display for ConsentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ConsentUrl {
    type Err = ConsentUrlError;

    /// Parses an origin. White space around it, and slashes at its end, are removed.
    fn from_str(text: &str) -> Result<Self, ConsentUrlError> {
        let origin = text.trim().trim_end_matches('/').to_ascii_lowercase();
        let (scheme, authority) = origin.split_once("://").ok_or(ConsentUrlError)?;
        let host = host_of(authority).ok_or(ConsentUrlError)?;
        match scheme {
            "https" => Ok(Self(origin)),
            "http" if is_loopback(host) => Ok(Self(origin)),
            _ => Err(ConsentUrlError),
        }
    }
}

/// Returns the host of `host` or `host:port`, if both are valid. A host in another script must be written as `xn--…`.
fn host_of(authority: &str) -> Option<&str> {
    let in_brackets = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, rest) = match in_brackets {
        Some((host, rest)) => (host, rest),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_is_valid =
        rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let label_is_valid =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let host_is_valid = match in_brackets {
        Some(_) => host.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(label_is_valid),
    };
    (port_is_valid && host_is_valid).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The two headers of an email with this link, for one-click unsubscription
/// (<https://www.rfc-editor.org/rfc/rfc8058#section-3.1>).
pub fn unsubscribe_headers(link: &str) -> [(&'static str, String); 2] {
    [("List-Unsubscribe", format!("<{link}>")), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned())]
}
