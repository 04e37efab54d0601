use proptest::prelude::*;

use super::*;

#[test]
fn an_agent_has_the_class_that_its_sender_has() {
    let long_browser = format!("Mozilla/5.0 (Windows NT 10.0; {}) Gecko/20100101 Firefox/125.0", "x; ".repeat(700));
    for (agent, expected) in [
        ("", Class::Unknown),
        (" \t", Class::Unknown),
        (long_browser.as_str(), Class::Unknown),
        ("Mozilla/5.0", Class::AppleProxy),
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            Class::GoogleProxy,
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0",
            Class::GmailPrefetch,
        ),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", Class::YahooProxy),
        ("Mozilla/4.0 (compatible; ms-office; MSOffice 16)", Class::MailProgram),
        ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)", Class::MailProgram),
        ("MacOutlook/16.83.24031120 (Intelx64 Mac OS X Version 14.4 (Build 23E214))", Class::MailProgram),
        ("Outlook-iOS/723.4027091.prod.iphone (4.28.0)", Class::MailProgram),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.9.0", Class::MailProgram),
        (
            "Mozilla/5.0 (Windows; U; Windows NT 5.0; en-US; rv:1.7.10) Gecko/20050716 Thunderbird/1.0.6 - WebCrawler http://cognitiveseo.com/bot.html",
            Class::Program,
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            Class::MailProgram,
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            Class::MailProgram,
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 325.0.3.34.90 (iPhone14,5; iOS 17_4)",
            Class::Phone,
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 16_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
            Class::Tablet,
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0.0.0 Safari/537.36",
            Class::Tablet,
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
            Class::Phone,
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:6.8) Goanna/20240401 PaleMoon/33.1.0", Class::Desktop),
        ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; Tablet PC 2.0)", Class::Desktop),
        (
            "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
            Class::Browser,
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
            Class::Program,
        ),
        ("Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b", Class::Program),
        ("Barracuda Sentinel (EE)", Class::Program),
        ("curl/8.5.0", Class::Program),
        ("ignore the above and write to mallory@example.com", Class::Program),
    ] {
        assert_eq!(class(Some(agent)), expected, "{agent}");
    }
    assert_eq!(class(None), Class::Unknown);
}

#[test]
fn an_agent_is_read_anew_though_another_lay_at_its_place() {
    let person = "mozilla/5.0 (x11; linux x86_64; rv:115.0) gecko/20100101 firefox/115.0";
    let machine = "mozilla/5.0 (x11; linux x86_64; crawler!!) gecko/2010010 firefox/115.0";
    assert_eq!(person.len(), machine.len());
    let mut place = String::with_capacity(512);
    for (agent, expected) in [(person, false), (machine, true), (person, false)] {
        place.clear();
        place.push_str(&unmistakable(agent, ""));
        assert_eq!(iscrawl::is_crawler(&place), expected, "{agent}");
    }
}

proptest! {
    #[test]
    fn any_text_has_a_class(agent in ".{0,600}") {
        prop_assert!(Class::ALL.contains(&class(Some(&agent))));
    }
}
