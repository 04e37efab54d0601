//! Values of options. An invalid value is rejected before the command starts, with an example of a valid one.

use std::io::Read;

use aws_local::dynamodb::is_local;
use rebound::resend::event::EventType;
use rebound::resend::signature::{SigningSecret, SigningSecrets};

/// Minimum similarity of a word and its typing error, as in `clap`.
const ALIKE: f64 = 0.7;

/// The most similar of these words, if one is similar enough.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.trim().to_lowercase().replace([' ', '-'], "_");
    // `bounced` matches `email.bounced`, too.
    let alike = |word: &str| {
        let last = word.rsplit_once('.').map_or(word, |(_, last)| last);
        strsim::jaro(&text, word).max(strsim::jaro(&text, last))
    };
    let words = known.into_iter().map(|word| (alike(word), word)).filter(|(alike, _)| *alike > ALIKE);
    words.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, word)| word)
}

/// A hint for a text that is none of these words: the nearest word, and where all of them are listed.
pub fn unknown<'a>(text: &str, known: impl IntoIterator<Item = &'a str>, all: &str) -> String {
    nearest(text, known).map_or_else(|| all.to_owned(), |word| format!("did you mean {word}? {all}"))
}

/// A type of event that Resend sends.
pub fn event_type(text: &str) -> Result<EventType, String> {
    text.trim().to_ascii_lowercase().parse().map_err(|_| {
        let known = EventType::ALL.iter().map(|event_type| event_type.as_str());
        format!("there is no such event type; {}", unknown(text, known, "`rebound sample` lists them"))
    })
}

/// An HTTP or HTTPS URL.
pub fn url(text: &str) -> Result<String, String> {
    let parsed =
        reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if parsed.is_some() {
        return Ok(text.to_owned());
    }
    let like = text.trim().trim_start_matches('/');
    let like = if like.is_empty() || like.contains("://") { "127.0.0.1:9000/" } else { like };
    Err(format!("a URL begins with http:// or https://, such as http://{like}"))
}

/// The first of the signing secrets in RESEND_WEBHOOK_SECRET. Fails if any of them is invalid.
pub fn signing_secret(text: &str) -> Result<SigningSecret, String> {
    let failed = |error| {
        match text.trim_start().starts_with("re_") {
        true => {
            "RESEND_WEBHOOK_SECRET holds a key of Resend's API (re_…); it must hold the webhook's signing secret (whsec_…)"
                .to_owned()
        }
        false => format!("RESEND_WEBHOOK_SECRET: {error}"),
    }
    };
    text.parse::<SigningSecrets>().map_err(failed)?;
    text.split_whitespace().next().unwrap_or_default().parse().map_err(failed)
}

/// A hint for a URL that does not respond.
pub fn nobody_at(url: &str) -> &'static str {
    if url.starts_with("https:") && is_local(url) {
        "on this machine, use http:// and not https://"
    } else if is_local(url) {
        "is `rebound dev` running? It prints its function URL"
    } else {
        "is the URL right? It is the stack's output WebhookUrl"
    }
}

/// A number that is more than 0.
pub fn more_than_zero(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("more than 0".to_owned()) }
}

/// The file after `--local` and a space. There it would be read as another argument: an address, a name, an email id.
pub fn misplaced_file(arguments: impl IntoIterator<Item = String>) -> Option<String> {
    let mut arguments = arguments.into_iter().skip_while(|argument| argument != "--local").skip(1);
    arguments.next().filter(|next| !next.starts_with('-') && is_env_file(next))
}

/// Returns true if a file ends with `.env`, or has the variables that `rebound dev` writes.
fn is_env_file(file: &str) -> bool {
    let begins_like_one = || {
        let mut begin = Vec::new();
        let read = std::fs::File::open(file).and_then(|file| file.take(4_096).read_to_end(&mut begin));
        let begin = String::from_utf8_lossy(&begin);
        read.is_ok() && begin.lines().any(|line| line.starts_with("AWS_ENDPOINT_URL") || line.starts_with("REBOUND_"))
    };
    file.ends_with(".env") || begins_like_one()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_its_scheme_is_refused_with_it() {
        assert_eq!(url("http://127.0.0.1:9000/").unwrap(), "http://127.0.0.1:9000/");
        assert!(url("127.0.0.1:9000").unwrap_err().ends_with("such as http://127.0.0.1:9000"));
        assert!(url("localhost:9000/x").unwrap_err().ends_with("such as http://localhost:9000/x"));
        for wrong in ["", "ftp://example.com/", "http://", "example"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_instead_of_the_signing_secret_is_named() {
        assert!(signing_secret("re_abc_123").unwrap_err().contains("whsec_"));
        assert!(signing_secret("whsec_???").unwrap_err().starts_with("RESEND_WEBHOOK_SECRET: "));
        assert!(signing_secret(crate::LOCAL_SECRET).is_ok());
    }

    #[test]
    fn an_unknown_event_type_is_refused_with_the_nearest() {
        assert_eq!(event_type("Email.Bounced ").unwrap(), EventType::EmailBounced);
        for (typed, meant) in [
            ("email.bounce", "email.bounced"),
            ("bounced", "email.bounced"),
            ("email-complaint", "email.complained"),
            ("email.delivery.delayed", "email.delivery_delayed"),
            ("contact.update", "contact.updated"),
        ] {
            let said = event_type(typed).unwrap_err();
            assert!(said.contains(&format!("did you mean {meant}?")), "{typed}: {said}");
        }
        assert!(!event_type("xyz").unwrap_err().contains("did you mean"), "like none");
    }

    #[test]
    fn a_file_after_local_and_a_space_is_found_and_nothing_else() {
        let found = |line: &str| misplaced_file(line.split(' ').map(str::to_owned));
        assert_eq!(found("rebound check --local .local/dev.env").as_deref(), Some(".local/dev.env"));
        for line in [
            "rebound check --local ann@example.com",
            "rebound campaigns --local",
            "rebound campaigns --local --json",
            "rebound suppressions import --local Cargo.toml",
            "rebound check --local=.local/dev.env ann@example.com",
            "rebound check dev.env",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }
}
