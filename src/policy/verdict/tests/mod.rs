use proptest::prelude::*;

use super::*;

mod scans;

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1";
const COMPUTER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:125.0) Gecko/20100101 Firefox/125.0";
const GOOGLE: &str = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const YAHOO: &str = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html";
const APPLE: &str = "Mozilla/5.0";
const SCANNER: &str = "Barracuda Sentinel (EE)";

fn click(message: u32, at: i64, link: &str) -> OpenOrClick {
    OpenOrClick {
        message: MessageId::from_verified(format!("msg_{message}")),
        action: Action::Clicked,
        at: UnixMillis(at),
        link: Some(link.to_owned()),
        agent: Some(PHONE.to_owned()),
        ip: Some("192.0.2.7".to_owned()),
    }
}

fn open(message: u32, at: i64, agent: &str) -> OpenOrClick {
    OpenOrClick { action: Action::Opened, link: None, agent: Some(agent.to_owned()), ..click(message, at, "") }
}

fn judged(this: &OpenOrClick, seen: &[OpenOrClick]) -> ScoredVerdict {
    let history = History { delivered_at: Some(UnixMillis(0)), seen: seen.to_vec() };
    classify(this, &history, &VerdictPolicy::default())
}

fn verdict(this: &OpenOrClick, seen: &[OpenOrClick]) -> Verdict {
    judged(this, seen).verdict
}

#[test]
fn every_verdict_is_read_back_from_its_name() {
    for &verdict in Verdict::ALL {
        assert_eq!(Verdict::from_text(verdict.as_str()), Some(verdict));
    }
    assert_eq!(Verdict::from_text("Human"), None);
}

#[test]
fn sooner_than_two_seconds_after_delivery_it_was_a_machine() {
    for (at, expected) in [
        (i64::MIN, Verdict::Machine),
        (-1, Verdict::Machine),
        (0, Verdict::Machine),
        (1_999, Verdict::Machine),
        (2_000, Verdict::Human),
        (i64::MAX, Verdict::Human),
    ] {
        assert_eq!(verdict(&click(1, at, "a"), &[]), expected, "{at}");
        assert_eq!(verdict(&open(1, at, COMPUTER), &[]), expected, "{at}");
    }
    assert_eq!(judged(&open(1, 1_200, PHONE), &[]).reasons, ["opened 1.2 s after delivery; people take at least 2 s"]);
    assert_eq!(
        judged(&click(1, 1_999, "a"), &[]).reasons,
        ["clicked 1.999 s after delivery; people take at least 2 s"]
    );
}

#[test]
fn googles_and_yahoos_proxies_are_human_from_ten_seconds_on() {
    for agent in [GOOGLE, YAHOO] {
        for (at, expected) in
            [(-1, Verdict::Unsure), (0, Verdict::Unsure), (9_999, Verdict::Unsure), (10_000, Verdict::Human)]
        {
            assert_eq!(verdict(&open(1, at, agent), &[]), expected, "{agent} {at}");
        }
    }
}

#[test]
fn all_clicks_on_links_within_a_second_are_a_machines_burst() {
    let (first, second, third) = (click(1, 60_000, "a"), click(2, 61_000, "b"), click(3, 62_001, "c"));
    let all = [first.clone(), second.clone(), third.clone()];
    // The third is not part of the burst, but the third link of a scan.
    assert_eq!(all.each_ref().map(|this| verdict(this, &all)), [Verdict::Machine; 3]);
    let later = OpenOrClick { link: Some("b".to_owned()), ..third.clone() };
    assert_eq!(verdict(&later, &[first.clone(), second.clone(), later.clone()]), Verdict::Unsure);
    assert_eq!(judged(&first, &all[..2]).reasons, ["2 links clicked within 1 s"]);
    let later = click(2, 61_001, "b");
    assert_eq!([&first, &later].map(|this| verdict(this, &[first.clone(), later.clone()])), [Verdict::Human; 2]);
}

#[test]
fn neither_a_repeated_click_nor_a_repeated_webhook_is_a_burst() {
    let (first, again) = (click(1, 60_000, "a"), click(2, 60_100, "a"));
    assert_eq!(verdict(&again, &[first.clone(), again.clone()]), Verdict::Human);
    let other_text = OpenOrClick { link: Some("b".to_owned()), ..first.clone() };
    assert_eq!(verdict(&first, &[first.clone(), other_text]), Verdict::Human);
}

#[test]
fn an_open_during_or_just_after_a_burst_is_a_machines() {
    let burst = [click(1, 60_000, "a"), click(2, 60_800, "b")];
    for (at, expected) in [
        (59_799, Verdict::Unsure),
        (59_800, Verdict::Machine),
        (60_400, Verdict::Machine),
        (61_800, Verdict::Machine),
        (61_801, Verdict::Unsure),
    ] {
        assert_eq!(verdict(&open(3, at, PHONE), &burst), expected, "{at}, from the same address");
    }
    assert_eq!(verdict(&open(3, 60_400, GOOGLE), &burst), Verdict::Machine);
    assert_eq!(verdict(&open(3, 60_400, APPLE), &burst), Verdict::Unsure, "it fetches at any time");
}

#[test]
fn a_proxys_agent_on_a_click_excuses_no_machine() {
    let with = |agent: &str, at: i64| OpenOrClick { agent: Some(agent.to_owned()), ..click(1, at, "a") };
    for agent in [GOOGLE, YAHOO, APPLE] {
        assert_eq!(verdict(&with(agent, 60_000), &[]), Verdict::Unsure, "{agent}");
        assert_eq!(verdict(&with(agent, 500), &[]), Verdict::Machine, "{agent}");
        assert_eq!(verdict(&with(agent, 60_000), &[click(2, 60_001, "b")]), Verdict::Machine, "{agent}");
    }
}

#[test]
fn clicks_score_higher_than_opens_and_later_ones_higher_still() {
    let score = |this: &OpenOrClick, seen: &[OpenOrClick]| judged(this, seen).score;
    assert!(score(&click(1, 5_000, "a"), &[]) > score(&open(1, 5_000, PHONE), &[]));
    assert!(score(&click(1, 600_000, "a"), &[]) > score(&click(1, 5_000, "a"), &[]));
    let before = open(2, 30_000, PHONE);
    assert!(score(&click(1, 600_000, "a"), std::slice::from_ref(&before)) > score(&click(1, 600_000, "a"), &[]));
    let elsewhere = OpenOrClick { ip: Some("192.0.2.8".to_owned()), ..before };
    assert_eq!(score(&click(1, 600_000, "a"), &[elsewhere]), score(&click(1, 600_000, "a"), &[]));
}

fn any_agent() -> impl Strategy<Value = Option<String>> {
    let known = [PHONE, COMPUTER, GOOGLE, YAHOO, APPLE, SCANNER, ""].map(|agent| Some(agent.to_owned()));
    prop_oneof![4 => proptest::sample::select(known.to_vec()), 1 => Just(None), 1 => ".{0,40}".prop_map(Some)]
}

prop_compose! {
    fn any_seen()(
        message in 0..12_u32,
        at in prop_oneof![4 => -3_000..15_000_i64, 1 => any::<i64>()],
        opened in any::<bool>(),
        link in proptest::option::of("https://link/[a-d]"),
        agent in any_agent(),
        ip in proptest::option::of("192\\.0\\.2\\.[1-3]"),
    ) -> OpenOrClick {
        let action = if opened { Action::Opened } else { Action::Clicked };
        OpenOrClick { action, link, agent, ip, ..click(message, at, "") }
    }
}

prop_compose! {
    fn any_history()(
        delivered in proptest::option::of(prop_oneof![4 => Just(0_i64), 1 => any::<i64>()]),
        seen in proptest::collection::vec(any_seen(), 0..10),
    ) -> History {
        History { delivered_at: delivered.map(UnixMillis), seen }
    }
}

proptest! {
    #[test]
    fn neither_order_nor_duplicates_matter(
        this in any_seen(),
        (history, mixed) in any_history().prop_flat_map(|history| {
            let twice: Vec<OpenOrClick> = history.seen.iter().chain(&history.seen).cloned().collect();
            (Just(history), Just(twice).prop_shuffle())
        }),
        with_itself in any::<bool>(),
    ) {
        let policy = VerdictPolicy::default();
        let mut mixed = History { seen: mixed, delivered_at: history.delivered_at };
        if with_itself {
            mixed.seen.push(this.clone());
        }
        prop_assert_eq!(classify(&this, &history, &policy), classify(&this, &mixed, &policy));
    }

    #[test]
    fn verdicts_of_a_batch_are_those_one_by_one(history in any_history()) {
        let policy = VerdictPolicy::default();
        // If one webhook has two contents, the same one counts as in the code.
        let mut seen: Vec<&OpenOrClick> = history.seen.iter().collect();
        seen.sort();
        seen.dedup_by_key(|seen| &seen.message);
        let one_by_one: Vec<Verdict> = seen.iter().map(|seen| classify(seen, &history, &policy).verdict).collect();
        prop_assert_eq!(verdicts(seen, &history, &policy), one_by_one);
    }

    #[test]
    fn a_score_fits_its_verdict_and_has_reasons(this in any_seen(), history in any_history()) {
        let scored = classify(&this, &history, &VerdictPolicy::default());
        let fits = match scored.verdict {
            Verdict::Machine => 0..=20,
            Verdict::Unsure => 21..=59,
            Verdict::Human => 60..=100,
        };
        prop_assert!(fits.contains(&scored.score), "{:?}", scored);
        prop_assert!(!scored.reasons.is_empty());
        prop_assert!(scored.reasons.iter().all(|reason| !reason.is_empty()));
    }

    #[test]
    fn reasons_hold_nothing_from_outside(this in any_seen(), history in any_history()) {
        let renamed = |seen: &OpenOrClick| OpenOrClick {
            link: seen.link.as_ref().map(|link| link.replace("link", "elsewhere")),
            ip: seen.ip.as_ref().map(|ip| ip.replace("192.0", "198.51")),
            agent: seen.agent.as_ref().map(|agent| agent.replace("iPhone", "iPod").replace("125.0", "126.0")),
            ..seen.clone()
        };
        let other = History { seen: history.seen.iter().map(renamed).collect(), delivered_at: history.delivered_at };
        let policy = VerdictPolicy::default();
        let scored = classify(&this, &history, &policy);
        prop_assert_eq!(&scored, &classify(&renamed(&this), &other, &policy));
        let words = scored.reasons.join("\n");
        for outside in ["Mozilla", "Gecko", "http", "link/", "192.0", "Barracuda"] {
            prop_assert!(!words.contains(outside), "{}", words);
        }
    }

    #[test]
    fn a_machine_stays_one_when_more_is_clicked(
        this in any_seen(),
        history in any_history(),
        more in proptest::collection::vec((0..15_000_i64, "[a-z]"), 1..6),
    ) {
        let policy = VerdictPolicy::default();
        let before = classify(&this, &history, &policy);
        let mut longer = history;
        longer.seen.extend(more.into_iter().zip(100..).map(|((at, link), message)| click(message, at, &link)));
        if before.verdict == Verdict::Machine {
            let after = classify(&this, &longer, &policy);
            prop_assert_eq!(after.verdict, Verdict::Machine);
            prop_assert!(after.score <= before.score);
        }
    }

    #[test]
    fn no_text_and_no_number_is_too_odd(
        mut this in any_seen(),
        history in any_history(),
        agent in ".{0,600}",
        spans in any::<[i64; 5]>(),
        (burst_links, scan_links) in any::<(usize, usize)>(),
    ) {
        this.agent = Some(agent);
        let [machine_within_ms, proxy_within_ms, burst_within_ms, scan_gap_ms, scan_begins_within_ms] = spans;
        let policy = VerdictPolicy {
            machine_within_ms,
            proxy_within_ms,
            burst_links,
            burst_within_ms,
            scan_links,
            scan_gap_ms,
            scan_begins_within_ms,
        };
        prop_assert!(!classify(&this, &history, &policy).reasons.is_empty());
    }
}
