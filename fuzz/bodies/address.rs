//! Addresses: the input is text in place of an address, such as `Name <ann@example.com>`.

use rebound::resend::event::{Event, EventRecipients};
use rebound::resend::recipient::Recipient;
use serde_json::json;

use super::text;

/// A parsed address is a key: short, in lower case, and its own key, whatever usual text is around it.
pub fn run(bytes: &[u8]) {
    let text = text(bytes);
    let read = Recipient::parse(&text);
    agrees_with_events(&text, read.as_ref());
    let cell = Recipient::in_cell(&text);
    let Some(recipient) = read else { return };
    assert!(
        cell == Ok(recipient.clone()) || text.contains(['\'', '"']) || !text.is_ascii(),
        "{text:?} in a list is another"
    );
    let key = recipient.as_str();
    assert_eq!(recipient.to_string(), key);
    assert!((3..=320).contains(&key.len()), "{key:?}");
    assert!(!key.contains(|c: char| c.is_control() || c == '\u{FFFD}'), "{key:?}");
    let (local, domain) = key.rsplit_once('@').expect("an address has an @");
    assert!(!local.is_empty() && !domain.is_empty() && !domain.contains(char::is_whitespace));

    let is_quoted = local.starts_with('"');
    for form in [
        key.to_owned(),
        format!(" {key}\r\n"),
        format!("\u{FEFF}{key}\u{200B}."),
        format!("<{key}>"),
        format!("Ann <{key}>"),
        format!("\"Lee, Ann\" < {key} >"),
        format!("ann@old.example <old@example.com> <{key}> (Ann)"),
    ] {
        let again = Recipient::parse(&form);
        assert!(again.as_ref() == Some(&recipient) || (is_quoted && form != key), "{form:?} is not {key:?}");
    }
    if let Some(readable) = recipient.readable() {
        assert_eq!(Recipient::parse(&readable).as_ref(), Some(&recipient), "{readable:?} is not {key:?}");
    }
    if is_quoted || !key.is_ascii() {
        return;
    }
    assert!(recipient.is_mentioned_in(&format!("550 5.1.1 <{key}>: user unknown")), "{key:?}");
    for longer in [format!("<x{key}>"), format!("<x.{key}>"), format!("<{key}x>"), format!("<{key}.example>")] {
        assert!(!recipient.is_mentioned_in(&longer), "{key:?} is not {longer:?}");
    }
}

/// An event that names this text names this recipient; and any text can be searched in any other.
fn agrees_with_events(text: &str, read: Option<&Recipient>) {
    let body = json!({ "type": "email.sent", "data": { "to": text, "from": text, "email": text } }).to_string();
    let event = Event::read(body.as_bytes()).expect("it is an event");
    assert_eq!((event.from().as_ref(), event.recipients()), (read, event.contact()));
    if let (Some(read), EventRecipients::One(one)) = (read, event.recipients()) {
        assert_eq!(&one, read, "the only one is another");
    }
    assert!(read.is_none() || event.recipients() != EventRecipients::None, "{text:?} has an address");
    let two = json!({ "type": "email.sent", "data": { "to": ["ann@example.com", text] } }).to_string();
    let addressees = Event::read(two.as_bytes()).expect("it is an event").recipients();
    let names_ann =
        Recipient::parse("ann@example.com").is_some_and(|ann| event.recipients() == EventRecipients::One(ann));
    let names_nobody = text.trim_end().ends_with(";");
    let is_one = matches!(addressees, EventRecipients::One(_));
    assert!(!is_one || names_ann || names_nobody, "one of two is never taken for the only one");
    if let Some(ann) = Recipient::parse("ann@example.com") {
        assert!(!ann.is_mentioned_in(text) || !text.is_ascii() || text.to_lowercase().contains("ann@example.com"));
    }
}
