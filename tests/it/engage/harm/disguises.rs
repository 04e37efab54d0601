//! Texts that must not be published, in many disguises, and some that may.

use serde_json::{Value, json};

use super::Expected::{Proposed, Refused};
use super::{Case, case, followup, try_all};

/// Foreign links.
const LINKS: [&str; 34] = [
    "https://evil.example/x",
    "HTTPS://EVIL.EXAMPLE",
    "http:evil.example",
    "https:/evil.example",
    "https:\\\\evil.example",
    "//evil.example/x",
    "\\\\evil.example\\x",
    "hxxps://evil.example",
    "ftp://evil.example",
    "javascript:evil()",
    "data:text/html,evil",
    "tel:+1900evil",
    "evil.example",
    "www.evil",
    "evil.example/path",
    "evil[.]example",
    "evil(dot)example",
    "evil．example",
    "evil。example",
    "evil․example",
    "ｅｖｉｌ．ｅｘａｍｐｌｅ",
    "ｈｔｔｐｓ：／／evil.example",
    "https%3A%2F%2Fevil.example",
    "https%253A%252F%252Fevil%252Eexample",
    "%65vil%2eexample",
    "https://shop.example@evil.example/",
    "https://shop.example.evil.example/",
    "https://evil-shop.example/",
    "https://shop.example:8443/evil",
    "https://shop.example/https://evil.example",
    "https://shop.example/?to=https%3A%2F%2Fevil.example",
    "https://shop.example\u{3002}evil",
    "[see here](https://evil.example)",
    "xn--evil-9ua.example",
];

/// Look-alikes, and hosts without a name.
const LOOK_ALIKES: [&str; 9] = [
    "https://shоp.example/",
    "https://shop.examp1e/",
    "https://shop.example.com/",
    "https://xshop.example/",
    "https://shop-example.com",
    "http://1.2.3.4/",
    "http://2130706433/",
    "http://[::1]/",
    "1.2.3.4",
];

const ADDRESSES: [&str; 11] = [
    "mallory@evil.example",
    "mailto:mallory",
    "mallory＠evil",
    "mallory﹫evil",
    "mallory(at)evil",
    "mallory [ AT ] evil",
    "mallory%40evil",
    "mallory%2540evil",
    "mallory％４０evil",
    "mallory&#64;evil",
    "mallory&commat;evil",
];

const MARKUP: [&str; 8] = [
    "<b>evil</b>",
    "<script>evil</script>",
    "<!-- evil -->",
    "</p>",
    "＜img src=x＞",
    "%3Cimg%3E",
    "&lt;script&gt;",
    "&#60;b&#62;",
];

/// Invisible characters, and line breaks.
const HIDDEN: [&str; 12] = [
    "\u{2028}",
    "\u{2029}",
    "\u{85}",
    "\u{0}",
    "\u{1b}[2J",
    "\u{200b}",
    "\u{202e}",
    "\u{2066}",
    "\u{feff}",
    "\u{ad}",
    "\u{e0041}",
    "%0d%0aBcc:",
];

/// A disguise within a text of each of the three fields. The error names the field and this reason.
fn in_each_field(disguise: &str, kind: &str, word: Option<&'static str>) -> impl Iterator<Item = Case> {
    let fields = [("subject", "the subject "), ("message", "the message "), ("reason", "the reason ")];
    fields.into_iter().map(move |(field, named)| {
        let text = format!("Have a look {disguise} please");
        let answer = followup(&json!({ (field): text }));
        case(format!("{kind} {disguise:?} in the {field}"), answer, Refused(word.unwrap_or(named)))
    })
}

#[tokio::test]
async fn no_link_to_others_gets_out_in_any_disguise() {
    // The reasons differ: a foreign host, another scheme, a disguised dot, or the @ of a user name in a link.
    let links = LINKS.into_iter().flat_map(|link| in_each_field(link, "the link", None));
    let look_alikes = LOOK_ALIKES.into_iter().flat_map(|link| in_each_field(link, "the look-alike", Some("host")));
    try_all(links.chain(look_alikes).collect()).await;
}

#[tokio::test]
async fn no_address_markup_or_hidden_text_is_published() {
    let addresses = ADDRESSES.into_iter().flat_map(|address| in_each_field(address, "the address", None));
    let markup = MARKUP.into_iter().flat_map(|markup| in_each_field(markup, "the markup", Some("markup")));
    let hidden = HIDDEN.into_iter().flat_map(|hidden| in_each_field(hidden, "the hidden", None));
    try_all(addresses.chain(markup).chain(hidden).collect()).await;
}

#[tokio::test]
async fn what_is_in_order_gets_out_so_that_the_check_is_no_wall() {
    let allowed: [(&str, Value); 12] = [
        ("nothing special", json!({})),
        ("a link of the mail", json!({ "message": "They are at https://shop.example/tulips." })),
        ("a link of the mail, bare", json!({ "message": "shop.example/tulips has them" })),
        ("the host of the mail in the subject", json!({ "subject": "New at shop.example" })),
        ("lines in a message", json!({ "message": "Hello,\r\n\r\nthe bulbs are here.\n\nNorthwind" })),
        ("a break that is trimmed", json!({ "subject": "\r\nYour bulbs\u{2028}" })),
        ("another language", json!({ "subject": "Ваші тюльпани, 您的郁金香", "message": "Grüße – bis bald…" })),
        ("a token in the reason", json!({ "reason": "r1 has clicked, r2 must not get email." })),
        ("the shortest delay", json!({ "send_after_hours": 1 })),
        ("the longest delay", json!({ "send_after_hours": 168 })),
        ("a part of an hour", json!({ "send_after_hours": 1.5 })),
        ("a delay into the night, moved to the morning", json!({ "send_after_hours": 10 })),
    ];
    try_all(allowed.into_iter().map(|(name, changes)| case(name, followup(&changes), Proposed)).collect()).await;
}
