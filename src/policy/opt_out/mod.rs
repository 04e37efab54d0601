//! Opt-out and preference links: a click on one shows no interest.
//!
//! A link is read as people would read it: its host, its path and the names in its query (not the values), decoded,
//! without accents, split into words. It is an opt-out link if one of these parts consists of opt-out words and little
//! else:
//!
//! | link | opt-out | because |
//! | --- | --- | --- |
//! | `https://unsubscribe.resend.com/?token=x` | yes | the word is a label of the host |
//! | `https://shop.example/email/unsubscribe/9f2` | yes | it is a part of the path |
//! | `https://shop.example/?opt_out=1` | yes | it is a name in the query |
//! | `https://shop.example/emailPreferences` | yes | several words that say so together |
//! | `https://shop.example/unsubscribed-podcast-launch` | no | another word |
//! | `https://shop.example/why-people-unsubscribe` | no | a title |
//! | `https://shop.example/stopwatch` | no | another word |
//! | `https://shop.example/sale?ref=unsubscribe` | no | a value |
//!
//! In doubt a link counts as an opt-out link. That costs at most one follow-up; the other mistake would send email to a
//! person who opted out.

mod words;

use self::words::{LinkPart, is_about_opting_out};
use super::answer::views;

/// Maximum length of a link that is read, in bytes.
const MAX_LINK_BYTES: usize = 4_096;

/// Returns true for a link to opt out of email, or to change email preferences.
pub fn is_opt_out(link: &str) -> bool {
    let link = link.trim();
    let end = (0..=MAX_LINK_BYTES.min(link.len())).rev().find(|end| link.is_char_boundary(*end)).unwrap_or(0);
    let link = link.get(..end).unwrap_or_default();
    let parts = Parts::of(link);
    let host = parts.host.split('.').rev().skip(1);
    let mut names = parts.query.split(['&', ';']).filter_map(|pair| pair.split('=').next());
    host.map(plain).any(|label| is_about_opting_out(LinkPart::Label, &label))
        || is_path(parts.path)
        || is_path(parts.fragment)
        || names.any(|name| is_about_opting_out(LinkPart::Name, &plain(name)))
}

/// Returns true if a part of a path is about opting out, or two consecutive parts are: `/email/preferences`.
fn is_path(path: &str) -> bool {
    let path = plain(path);
    let parts: Vec<&str> = path.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    let of_two = parts.windows(2).map(|two| two.join("/"));
    parts.iter().any(|part| is_about_opting_out(LinkPart::Part, part))
        || of_two.into_iter().any(|two| is_about_opting_out(LinkPart::Pair, &two))
}

/// Returns a text with its percent-encoding decoded, as far as possible.
fn plain(text: &str) -> String {
    views(text).and_then(|mut views| views.pop()).unwrap_or_else(|| text.to_owned())
}

/// Parts of a link, unchanged. Any text has them.
struct Parts<'a> {
    host: &'a str,
    path: &'a str,
    query: &'a str,
    fragment: &'a str,
}

impl<'a> Parts<'a> {
    fn of(link: &'a str) -> Self {
        let (link, fragment) = link.split_once('#').unwrap_or((link, ""));
        let (link, query) = link.split_once('?').unwrap_or((link, ""));
        let Some((scheme, rest)) = link.split_once(':') else {
            return Self { host: "", path: link, query, fragment };
        };
        if scheme.eq_ignore_ascii_case("mailto") {
            let local = rest.split('@').next().unwrap_or_default();
            return Self { host: "", path: local, query: "", fragment: "" };
        }
        let rest = rest.trim_start_matches(['/', '\\']);
        let (authority, path) = rest.find(['/', '\\']).map_or((rest, ""), |at| rest.split_at(at));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = host.split_once(':').map_or(host, |(host, _)| host).trim_end_matches('.');
        Self { host, path, query, fragment }
    }
}

#[cfg(test)]
mod tests;
