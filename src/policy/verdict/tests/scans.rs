//! A slow scanner, and a slow reader.

use super::*;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;

/// Clicks on different links at these times.
fn clicks(times: &[i64]) -> Vec<OpenOrClick> {
    (1..).zip(times).map(|(message, at)| click(message, *at, &format!("https://shop.example/{message}"))).collect()
}

fn verdicts(all: &[OpenOrClick]) -> Vec<Verdict> {
    all.iter().map(|this| verdict(this, all)).collect()
}

fn from(ip: &str, seen: OpenOrClick) -> OpenOrClick {
    OpenOrClick { ip: Some(ip.to_owned()), ..seen }
}

#[test]
fn eight_links_one_after_another_are_a_machines() {
    let times: Vec<i64> = (0..8).map(|link| 20 * SECOND + link * 1_300).collect();
    let all = clicks(&times);
    assert_eq!(verdicts(&all), [Verdict::Machine; 8]);
    let scored = judged(&all[3], &all);
    assert_eq!(scored.reasons, ["8 links clicked one after another, each within 2 min, soon after delivery"]);
    assert_eq!(scored.score, 4);
}

#[test]
fn one_address_or_one_agent_makes_a_scan() {
    let all = clicks(&[MINUTE, 2 * MINUTE, 3 * MINUTE]);
    let apart = |(index, seen): (usize, OpenOrClick)| from(&format!("192.0.2.{index}"), seen);
    let of_one_agent: Vec<OpenOrClick> = all.clone().into_iter().enumerate().map(apart).collect();
    assert_eq!(verdicts(&of_one_agent), [Verdict::Machine; 3]);
    let agents = [PHONE, COMPUTER, "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/125.0"];
    let other = |(seen, agent): (OpenOrClick, &str)| OpenOrClick { agent: Some(agent.to_owned()), ..seen };
    let of_one_address: Vec<OpenOrClick> = all.into_iter().zip(agents).map(other).collect();
    assert_eq!(verdicts(&of_one_address), [Verdict::Machine; 3]);
    let of_many: Vec<OpenOrClick> = of_one_agent.into_iter().zip(agents).map(other).collect();
    assert_eq!(verdicts(&of_many), [Verdict::Human; 3]);
}

#[test]
fn the_limits_of_a_scan_are_two_and_ten_minutes() {
    let machine = [Verdict::Machine; 3];
    let human = [Verdict::Human; 3];
    for (times, expected) in [
        ([10 * MINUTE, 12 * MINUTE, 14 * MINUTE], machine),
        ([10 * MINUTE + 1, 12 * MINUTE, 14 * MINUTE], human),
        ([MINUTE, 3 * MINUTE, 5 * MINUTE + 1], human),
        ([MINUTE, 3 * MINUTE + 1, 5 * MINUTE], human),
    ] {
        assert_eq!(verdicts(&clicks(&times)), expected, "{times:?}");
    }
    let two = clicks(&[MINUTE, 2 * MINUTE]);
    assert_eq!(verdicts(&two), [Verdict::Human; 2]);
    let again = [
        two,
        clicks(&[150 * SECOND])
            .into_iter()
            .map(|seen| OpenOrClick { message: click(9, 0, "").message, ..seen })
            .collect(),
    ]
    .concat();
    assert_eq!(verdicts(&again), [Verdict::Human; 3], "one of two links again");
}

#[test]
fn later_clicks_from_a_scanners_address_are_unsure() {
    let all = clicks(&[MINUTE, 2 * MINUTE, 3 * MINUTE]);
    assert_eq!(verdict(&click(8, 60 * MINUTE, "a"), &all), Verdict::Unsure);
    assert_eq!(verdict(&open(8, 2 * MINUTE, COMPUTER), &all), Verdict::Unsure);
    assert_eq!(verdict(&from("192.0.2.9", click(8, 60 * MINUTE, "a")), &all), Verdict::Human);
}

#[test]
fn without_the_time_of_delivery_there_is_no_scan() {
    let all = clicks(&[MINUTE, 2 * MINUTE, 3 * MINUTE]);
    let history = History { delivered_at: None, seen: all.clone() };
    assert_eq!(classify(&all[0], &history, &VerdictPolicy::default()).verdict, Verdict::Unsure);
}

proptest! {
    #[test]
    fn every_click_of_a_scan_is_a_machines(
        first in 2_000..=600_000_i64,
        gaps in proptest::collection::vec(0..=120_000_i64, 2..12),
        others in proptest::collection::vec(any_seen(), 0..8),
    ) {
        let mut times = vec![first];
        for gap in gaps {
            times.push(times[times.len() - 1] + gap);
        }
        let scan: Vec<OpenOrClick> = clicks(&times)
            .into_iter()
            .zip(100..)
            .map(|(seen, message)| OpenOrClick { message: click(message, 0, "").message, ..seen })
            .collect();
        let all = [scan.clone(), others].concat();
        for this in &scan {
            prop_assert_eq!(verdict(this, &all), Verdict::Machine);
        }
    }

    #[test]
    fn a_reader_who_waits_longer_between_links_is_none(
        first in 2_000..10_000_000_i64,
        gaps in proptest::collection::vec(120_001..=90_000_000_i64, 0..8),
    ) {
        let mut times = vec![first];
        for gap in gaps {
            times.push(times[times.len() - 1] + gap);
        }
        prop_assert!(verdicts(&clicks(&times)).iter().all(|verdict| *verdict == Verdict::Human));
    }
}
