//! The pages: HTML in the reader's language. No script, no resource from outside, no cookie.
//!
//! `maud` escapes every text. An address may be written from right to left, or be very long: it is isolated, and wraps.

mod language;
mod texts;

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

pub use self::language::Language;
use self::texts::{Problem, Texts};

/// The style of every page. It is in the page itself.
const STYLE: &str = include_str!("style.css");

/// The name of the form's field.
pub const ACTION: &str = "action";

/// The value of the form's field: the button was pressed.
pub const OPT_OUT: &str = "opt_out";

/// Where `{sender}` stands in a text.
const SENDER: &str = "{sender}";

/// Value of the header `Content-Security-Policy`. It allows the style of the pages by its hash, and nothing else.
/// <https://www.w3.org/TR/CSP3/#grammardef-hash-source>
pub static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page<'a> {
    /// The question, with the button. Email to the address is not stopped.
    Ask {
        /// The recipient.
        address: &'a str,
    },
    /// Email to the address is stopped already, or the address was forgotten.
    Stopped {
        /// The recipient.
        address: &'a str,
    },
    /// The address was opted out.
    Done {
        /// The recipient.
        address: &'a str,
    },
    /// The token does not hold, or there is no such path.
    NotFound,
    /// The form has another action.
    BadRequest,
    /// The method is not GET, HEAD or POST.
    MethodNotAllowed,
    /// The body is too large.
    TooLarge,
    /// DynamoDB does not respond, or there is no key yet.
    Unavailable,
}

impl Page<'_> {
    /// Returns the page as HTML, in a language. `sender_name` is the sender's name, as text.
    pub fn html(self, language: Language, sender_name: &str) -> String {
        let texts = Texts::in_language(language);
        let (title, content) = match self {
            Page::Ask { address } => (texts.ask_title, ask(texts, sender_name, address)),
            Page::Stopped { address } => (texts.stopped_title, stopped(texts, sender_name, address)),
            Page::Done { address } => (texts.done_title, done(texts, sender_name, address)),
            Page::NotFound => problem(&texts.not_found, None, sender_name),
            Page::BadRequest => problem(&texts.bad_request, Some(texts.back), sender_name),
            Page::MethodNotAllowed => problem(&texts.method_not_allowed, Some(texts.back), sender_name),
            Page::TooLarge => problem(&texts.too_large, Some(texts.back), sender_name),
            Page::Unavailable => problem(&texts.unavailable, Some(texts.again), sender_name),
        };
        let page = html! {
            (DOCTYPE)
            html lang=(language.tag()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title.replace(SENDER, sender_name)) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        @if matches!(self, Page::Stopped { .. } | Page::Done { .. }) { (check_mark()) }
                        h1 { (with_sender(title, sender_name)) }
                        (content)
                    }
                }
            }
        };
        page.into_string()
    }
}

fn ask(texts: &Texts, sender_name: &str, address: &str) -> Markup {
    html! {
        p { (with_sender(texts.ask_status, sender_name)) }
        (shown(address))
        form method="post" {
            button type="submit" name=(ACTION) value=(OPT_OUT) { (texts.ask_button) }
        }
        (notes(&[texts.takes_effect, texts.requested, texts.unchanged], sender_name))
    }
}

/// An address is stopped for more than one reason, and some of them stop every email: so nothing is said here about
/// emails that the recipient asks for.
fn stopped(texts: &Texts, sender_name: &str, address: &str) -> Markup {
    html! {
        p { (with_sender(texts.stopped_status, sender_name)) }
        (shown(address))
        (notes(&[texts.nothing_to_do, texts.email_again], sender_name))
    }
}

fn done(texts: &Texts, sender_name: &str, address: &str) -> Markup {
    html! {
        p { (with_sender(texts.done_status, sender_name)) }
        (shown(address))
        (notes(&[texts.on_its_way, texts.requested, texts.by_mistake], sender_name))
    }
}

/// The title and the content of a page about a request that failed. `again` is the text of a link to the same address,
/// which a browser follows with GET.
fn problem<'a>(problem: &'a Problem, again: Option<&str>, sender_name: &str) -> (&'a str, Markup) {
    let content = html! {
        p { (with_sender(problem.happened, sender_name)) }
        p.to-do { (with_sender(problem.to_do, sender_name)) }
        @if let Some(again) = again { a.button href="" { (again) } }
    };
    (problem.title, content)
}

/// The address, isolated from the text around it. Its base direction is from left to right, so that its domain stays at its end.
fn shown(address: &str) -> Markup {
    html! { p.address { bdi dir="ltr" { (address) } } }
}

fn notes(paragraphs: &[&str], sender_name: &str) -> Markup {
    html! {
        div.notes {
            @for text in paragraphs { p { (with_sender(text, sender_name)) } }
        }
    }
}

/// A text with the sender's name, which may be written in another direction than the text.
fn with_sender(text: &str, sender_name: &str) -> Markup {
    html! {
        @for (n, part) in text.split(SENDER).enumerate() {
            @if n > 0 { bdi { (sender_name) } }
            (unbroken(part))
        }
    }
}

/// A text with a word joiner in each "e-mail", so that no line ends after its hyphen.
fn unbroken(text: &str) -> String {
    text.replace("-mail", "-\u{2060}mail").replace("-Mail", "-\u{2060}Mail")
}

fn check_mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round"
            stroke-linejoin="round" aria-hidden="true" {
            circle cx="12" cy="12" r="10" {}
            path d="m7.5 12.5 3 3 6-6.5" {}
        }
    }
}

#[cfg(test)]
mod tests;
