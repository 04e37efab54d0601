use super::*;

fn hosts() -> BTreeSet<String> {
    ["own.example", "shop.own.example", "192.0.2.7"].map(str::to_owned).into()
}

fn links(text: &str) -> Result<(), TextError> {
    check(text, &hosts())
}

#[test]
fn ordinary_prose_has_no_links() {
    for text in [
        "Hello Ann, thank you.",
        "e.g. this, i.e. that, etc.",
        "(e.g., on Monday)",
        "It costs 10.30, or 3.5 kg, or 1.000,50.",
        "In the U.S. and the U.K., Mr. Smith and Dr. Lee (Ph.D.) met at 9 a.m.",
        "Wait... what? Wait…what?",
        "at 10:30, 9:15am, 24/7, and/or, 3:1",
        "Note: we open at 8. Re: your question:\nhere.",
        "On 24.12.2026 – or later — “soon”.",
        "z.B., d.h., u.a., e.V., S.à.r.l., т.е., и т.д.",
        "你好。谢谢。 人々。次の、はい。",
        "50% off; 100 % sure; R&D; AT&T; C#; C++; a - b",
        "version 2.0, 3.5kg, section 4.1.2, p.m./a.m.",
        "Smile :) or ;-) or :-(",
        "data: we have some. about: nothing.",
        "",
        ".",
        "...",
        "a.",
        ".b",
    ] {
        assert_eq!(links(text), Ok(()), "{text}");
    }
}

#[test]
fn a_link_to_an_own_host_is_allowed() {
    for text in [
        "https://own.example",
        "http://own.example/a/b.html?x=1&y=2#top",
        "See https://own.example.",
        "Have you seen https://own.example? Or own.example?",
        "See https://own.example: it helps.",
        "(see https://own.example/pricing)",
        "(https://own.example).",
        "“https://own.example”",
        "HTTPS://OWN.Example/Path",
        "https://own.example:443/a and http://own.example:80",
        "https://shop.own.example, https://own.example!",
        "own.example, own.example/pricing, Own.Example.",
        "own.example's prices; own.example: a shop",
        "https://own.example/report.pdf",
        "https://192.0.2.7/x and 192.0.2.7",
        "https://own.example/caf%C3%A9",
    ] {
        assert_eq!(links(text), Ok(()), "{text}");
    }
}

#[test]
fn a_link_to_any_other_host_is_found() {
    for text in [
        "https://evil.example",
        "HTTP://EVIL.EXAMPLE/own.example",
        "evil.example/path",
        "EVIL.COM",
        "www.evil.example",
        "www.5",
        "www.own.example",
        "go to evil.com.",
        "(evil.com)",
        "evil.com: look",
        "own.example.evil.com",
        "https://own.example.evil.com",
        "evil-own.example",
        "https://evil-own.example/",
        "https://own.example-evil.com",
        "own.example..evil.com",
        "https://own.example..com/",
        "https://own.example./",
        "//evil.example",
        "//own.example",
        "///evil",
        "https:///evil.example",
        "https://own.example//evil",
        "https://own.example/?next=https://evil.example",
        "https://own.example/?next=//evil.example",
        "https://own.example,evil.com",
        "https://own.example)evil.com",
        "https://own.example/a|evil.com",
        "https://own.example/a\"evil.com",
        "https://own.example?evil.com",
        "https://own.example#evil.com",
        "own.example?evil.com",
        "own.example#evil.com",
        "https://own.example:8443/",
        "https://own.example:80/",
        "https://own.example:443evil.com",
        "https://own.example:x/",
        "https://own.example%2eevil.com",
        "https://own.example~evil.com",
        "https://own.example*evil",
        "https://own.example[evil",
        "192.0.2.7:8080",
        "1.2.3.4",
        "1.2.3.4:80",
        "http://1.2.3.4/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://localhost/",
        "http://",
        "xn--80ak6aa92e.com",
        "a.xn--p1ai",
        "évil.com",
        "own.éxample",
        "https://оwn.example", // a Cyrillic о
        "https://own.exаmple", // a Cyrillic а
        "https://\u{212A}.example",
        "пример.рф",
        "𝐞𝐯𝐢𝐥.𝐜𝐨𝐦",
        "ⓔⓥⓘⓛ.ⓒⓞⓜ",
        "evil\u{2010}own.example",
        "evil\u{2011}own.example",
        "evil.com_https://own.example",
        "a.bя.https://own.example",
        "[click](evil.com)",
        "Node.js",
        "end.Next",
    ] {
        assert!(links(text).is_err(), "{text}");
    }
}

#[test]
fn another_scheme_than_http_and_https_is_found() {
    for text in [
        "javascript:alert(1)",
        "JavaScript: alert(1)",
        "vbscript:x",
        "data:text/html,x",
        "data:,x",
        "mailto:ann",
        "mailto: ann",
        "tel:+1555",
        "tel:(555)",
        "sms:1",
        "ftp://own.example",
        "hxxp://own.example",
        "xhttps://own.example",
        "file:///etc",
        "intent:x",
        "myapp:open",
        "own.example:443",
        "https:own.example",
        "https:/own.example",
        "http:",
        "see:/path",
        "web+app:x",
        "\u{4BB}ttps://own.example", // a Cyrillic shha
    ] {
        assert!(matches!(links(text), Err(TextError::Scheme(_))), "{text}: {:?}", links(text));
    }
}

#[test]
fn a_fault_shows_the_link_and_no_more_than_that() {
    assert_eq!(
        links("go to evil.com/x now").unwrap_err().to_string(),
        "links to a host that the email itself does not link to: “evil.com/x”"
    );
    let long = format!("evil.com/{}", "x".repeat(10_000));
    assert!(links(&long).unwrap_err().to_string().chars().count() < 130);
}
