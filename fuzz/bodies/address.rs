//! Addresses: the input is what stands where an address should, such as `Name <ann@example.com>`.

use rebound::event::{Addressees, Event};
use rebound::recipient::Recipient;
use serde_json::json;

use super::text;

/// What is read is bare, lower-cased and short; reading it again, or with anything usual around it, changes nothing.
pub fn run(bytes: &[u8]) {
    let text = text(bytes);
    let read = Recipient::parse(&text);
    agrees_with_events(&text, read.as_ref());
    let Some(recipient) = read else { return };
    let bare = recipient.as_str();
    assert_eq!(recipient.to_string(), bare);
    assert!((3..=320).contains(&bare.len()), "{bare:?}");
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>,;".contains(c);
    assert!(!bare.contains(odd) && bare == bare.to_lowercase(), "{bare:?}");
    let (local, domain) = bare.rsplit_once('@').expect("an address has an @");
    assert!(!local.is_empty() && !domain.is_empty());

    for form in [
        bare.to_owned(),
        format!(" {bare}\r\n"),
        format!("<{bare}>"),
        format!("Ann <{bare}>"),
        format!("\"Lee, Ann\" < {bare} >"),
        format!("ann@old.example <old@example.com> <{bare}> (Ann)"),
        bare.to_uppercase().to_lowercase(),
    ] {
        let again = Recipient::parse(&form);
        let is_changed_by_case = bare.to_uppercase().to_lowercase() != bare;
        assert!(again.as_ref() == Some(&recipient) || is_changed_by_case, "{form:?} is not {bare:?}");
    }
    assert!(recipient.is_named_in(&format!("550 5.1.1 <{bare}>: user unknown")), "{bare:?}");
    for longer in [format!("<x{bare}>"), format!("<x.{bare}>"), format!("<{bare}x>"), format!("<{bare}.example>")] {
        assert!(!recipient.is_named_in(&longer), "{bare:?} is not {longer:?}");
    }
}

/// An event that is about this text is about this recipient; and any text can be looked for in any other.
fn agrees_with_events(text: &str, read: Option<&Recipient>) {
    let body = json!({ "type": "email.sent", "data": { "to": text, "from": text, "email": text } }).to_string();
    let event = Event::read(body.as_bytes()).expect("it is an event");
    let expected = read.cloned().map_or(Addressees::Nobody, Addressees::One);
    assert_eq!(event.addressees(), expected);
    assert_eq!((event.from().as_ref(), event.address().as_ref()), (read, read));
    let two = json!({ "type": "email.sent", "data": { "to": ["ann@example.com", text] } }).to_string();
    let addressees = Event::read(two.as_bytes()).expect("it is an event").addressees();
    let is_ann = read.is_some_and(|recipient| recipient.as_str() == "ann@example.com");
    assert_eq!(matches!(addressees, Addressees::One(_)), is_ann, "one of two is never taken for the only one");
    if let Some(ann) = Recipient::parse("ann@example.com") {
        assert!(!ann.is_named_in(text) || text.to_lowercase().contains("ann@example.com"));
    }
}
