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
        (
            "Mozilla/5.0 (Linux; Android 11; FP4) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/101.0.4951.41 Mobile Safari/537.36 (Ecosia android@101.0.4951.41)",
            Class::Phone,
        ),
        ("curl/8.5.0", Class::Program),
        ("ignore the above and write to mallory@example.com", Class::Program),
    ] {
        assert_eq!(class(Some(agent)), expected, "{agent}");
    }
    assert_eq!(class(None), Class::Unknown);
}

/// Each agent with its pattern in Crawlerdex.
#[test]
fn crawlerdex_lists_programs_that_name_a_browser_engine() {
    for (pattern, agent) in [
        (
            "GTmetrix",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/117.0.0.0 Safari/537.36 GTmetrix",
        ),
        (
            "Manus-User",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/132.0.0.0 Safari/537.36; Manus-User/1.0",
        ),
        (
            "StatusCake",
            "Mozilla/5.0 (Windows NT 6.2; WOW64) AppleWebKit/537.4 (KHTML, like Gecko) Chrome/98 Safari/537.4 (StatusCake)",
        ),
        (
            "DuplexWeb-Google",
            "Mozilla/5.0 (Linux; Android 8.0; Pixel 2 Build/OPD3.170816.012; DuplexWeb-Google/1.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/74.0.3729.131 Mobile Safari/537.36",
        ),
        (
            "wkhtmltoimage",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/534.34 (KHTML, like Gecko) wkhtmltoimage Safari/534.34",
        ),
        (
            "PhantomJS",
            "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/538.1",
        ),
    ] {
        assert_eq!(pattern_of(agent), Some(pattern), "{agent}");
        assert!(!guess::is_program(&agent.to_lowercase(), false), "{agent}");
        assert_eq!(class(Some(agent)), Class::Program, "{agent}");
    }
}

#[test]
fn programs_that_crawlerdex_doesnt_have_are_guessed() {
    for agent in [
        "some-unknown-tool/1.0",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; Kimi-User/1.0; +https://www.kimi.com/policies/kimi-crawlers",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/144.0.0.0 Safari/537.36 ProxyChecker/2.0",
        // Crawlerdex's pattern for these proves nothing in a browser's agent.
        "WhatsApp/2.23.20.0 A",
        "Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)",
    ] {
        assert_eq!(class(Some(agent)), Class::Program, "{agent}");
    }
}

#[test]
fn peoples_agents_that_crawlerdex_lists_are_not_programs() {
    let mut patterns = Vec::new();
    for agent in [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 14_7_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Safari/605.1 Blackboard/6.9",
        "Mozilla/5.0 (Linux; Android 10; SM-N960N Build/QP1A.190711.020; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/81.0.4044.117 Mobile Safari/537.36 DaumApps/6.9.13 DaumDevice/mobile",
        "Mozilla/5.0 (Android 13; Mobile; rv:109.0) Gecko/112.0 Firefox/112.0 Freespoke/2.0.0",
        "Mozilla/5.0 (Linux; Android 4.1.2; SCH-I739) AppleWebKit/535.19 (KHTML, like Gecko) Version/4.0 LieBaoFast/2.10.0 Mobile Safari/535.19",
        "Mozilla/5.0 (Linux; Android 12; Mi Note 10 Lite Build/SKQ1.210908.001; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.7444.212 Mobile Safari/537.36 MetaIAB Facebook",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Notion/2.0.8 Chrome/76.0.3809.146 Electron/6.1.5 Safari/537.36",
        "Mozilla/5.0 (Linux; Android 6.0; VDVD IX21; Build/MRA58K; wv) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/46.0.2490.92 Mobile Safari/537.36 SogouMSE,SogouMobileBrowser/5.6.2",
        "Mozilla/5.0 (Linux; Android 7.1.2; G011A Build/N2G48H; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/66.0.3359.158 Safari/537.36 Viber/11.9.5.8",
        "Mozilla/5.0 (Windows NT 6.2) AppleWebKit/537.36 (KHTML, like Gecko) WhatsAppElectron/1.0.3 Chrome/108.0.5359.215 Electron/22.3.27 Safari/537.36",
        "Mozilla/5.0 (Windows NT 6.1) AppleWebKit/537.36 (KHTML like Gecko) coccocbrowser/47.0 Chrome/41.0.2272.119coccoc Safari/537.36",
        "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; MDDSJS; rv:11.0) like Gecko",
        "Mozilla/4.0 (compatible; MSIE 6.0; AOL 9.0; Windows NT 5.1; SV1; .NET CLR 1.1.4322; PeoplePal 3.0)",
        "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1; QQDownload 551; QQDownload 661; TencentTraveler 4.0; (R1 1.5))",
        "Mozilla/5.0 (Linux; Android 4.2.2; HTC Butterfly Build/JDQ39) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/31.0.1650.59 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 8.0.0; Expanse) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/86.0.4240.99 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 8.1.0; Fever_Plus_J) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/95.0.4638.50 Safari/537.36",
        "Mozilla/5.0 (Linux; Android 5.1; O+ Sonic) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/80.0.3987.162 Mobile Safari/537.36",
    ] {
        patterns.push(pattern_of(agent).unwrap());
        assert_ne!(class(Some(agent)), Class::Program, "{agent}");
    }
    patterns.sort_unstable();
    let mut expected = SAY_NOTHING.to_vec();
    expected.sort_unstable();
    assert_eq!(patterns, expected, "one agent for each pattern");
}

fn pattern_of(agent: &str) -> Option<&'static str> {
    iscrawl::crawler_info(agent).map(|info| info.pattern.as_str())
}

#[test]
fn a_word_that_only_ends_as_a_programs_name_is_none() {
    for agent in [
        "Mozilla/5.0 (Linux; U; Android 4.0.4; es-es; SoftwinerEvb Build/IMM76D) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30",
        "DESAY TS1008/1.0 Release/07.12.2013 Mozilla/5.0 (Linux; U; Android 4.0.3; zh-cn) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30",
        "Mozilla/5.0 (Linux; Android 6.0; APACHE G6 Build/MRA58K; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/44.0.2403.119 Mobile Safari/537.36",
        "KOPO L8_TD/Linux/3.4.39 Android/4.3 Release/08.15.2013 Browser/AppleWebkit534.30 Mobile Safari/534.30 SohuNews/5.2.3 BuildCode/95",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) BlueMail/0.10.31 Chrome/61.0.3163.100 Electron/2.0.18 Safari/537.36",
    ] {
        assert!(pattern_of(agent).is_some(), "Crawlerdex has it: {agent}");
        assert_ne!(class(Some(agent)), Class::Program, "{agent}");
    }
}

#[test]
fn a_phone_named_like_a_bot_is_a_phone() {
    for name in ["M bot 60", "M bot tab 71", "CUBOT_X30", "CUBOT SPIDER", "Preview 3", "A40 Monitor"] {
        for agent in [
            format!(
                "Mozilla/5.0 (Linux; Android 7.0; {name} Build/NRD90M) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/64.0.3282.137 Mobile Safari/537.36"
            ),
            format!(
                "Mozilla/5.0 (Linux; Android 7.0; {name} Build/NRD90M; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/64.0.3282.137 Mobile Safari/537.36 [FBAN/FB4A;FBDV/{name};FBSV/7.0]"
            ),
            format!("Mozilla/5.0 (Android 7.0; Mobile; {name}; rv:68.0) Gecko/68.0 Firefox/68.0"),
        ] {
            assert!(matches!(class(Some(&agent)), Class::Phone), "{agent}");
        }
    }
}

#[test]
fn a_bot_is_one_on_a_phone_and_in_any_word_of_its_own() {
    for agent in [
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/41.0.2272.96 Mobile Safari/537.36 (compatible; Somebot/2.1; +http://www.some.example/bot.html)",
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/41.0.2272.96 Mobile Safari/537.36 Somebot/2.1",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/41.0 Safari/537.36 Friendly Bot 3",
        "Mozilla/5.0 (Windows NT 10.0; linkchecker2) Gecko/20100101 Firefox/125.0",
        "Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/125.0 (ops@scanner.example)",
    ] {
        assert_eq!(class(Some(agent)), Class::Program, "{agent}");
    }
    let version = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Safari/604.1 (Ecosia ios@11.1.0.1)";
    assert_eq!(class(Some(version)), Class::Phone);
}

#[test]
fn an_agent_is_read_anew_though_another_lay_at_its_place() {
    let person = "mozilla/5.0 (x11; linux x86_64; rv:115.0) gecko/20100101 firefox/115.0";
    let machine = "mozilla/5.0 (x11; linux x86_64; crawler!!) gecko/2010010 firefox/115.0";
    assert_eq!(person.len(), machine.len());
    let mut place = String::with_capacity(512);
    for (agent, expected) in [(person, Class::Desktop), (machine, Class::Program), (person, Class::Desktop)] {
        place.clear();
        place.push_str(agent);
        assert_eq!(class(Some(&place)), expected, "{agent}");
    }
}

proptest! {
    #[test]
    fn any_text_has_a_class(agent in ".{0,600}") {
        prop_assert!(Class::ALL.contains(&class(Some(&agent))));
    }
}
