//! Quiet hours in any zone, also when the clocks change.

use proptest::prelude::*;

use super::*;

const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Havana",
    "+02:00",
    "-09:30",
];

fn policy(from: u8, until: u8) -> FollowupPolicy {
    FollowupPolicy { quiet_from: from, quiet_until: until, ..FollowupPolicy::default() }
}

fn at(text: &str) -> UnixMillis {
    UnixMillis::parse(text).unwrap()
}

/// Returns the time as text, and the ruling.
fn moved(now: &str, hours: f64, zone: &str, policy: &FollowupPolicy) -> (String, Ruling) {
    let (moment, answer) = not_before(at(now), hours, &Zone::parse(zone).unwrap(), policy);
    assert_eq!(answer.guard, Guard::QuietHours);
    (moment.to_text(), answer.ruling)
}

/// Returns the local hour of a zone.
fn shown(moment: UnixMillis, zone: &str) -> u8 {
    let moment = jiff::Timestamp::from_millisecond(moment.0).unwrap();
    let zone = match zone {
        "+02:00" => jiff::tz::TimeZone::fixed(jiff::tz::offset(2)),
        "-09:30" => jiff::tz::TimeZone::fixed(jiff::tz::Offset::from_seconds(-34_200).unwrap()),
        name => jiff::tz::TimeZone::get(name).unwrap(),
    };
    u8::try_from(zone.to_datetime(moment).hour()).unwrap()
}

fn is_quiet(hour: u8, from: u8, until: u8) -> bool {
    let mut quiet = from % 24;
    while quiet != until % 24 {
        if quiet == hour {
            return true;
        }
        quiet = (quiet + 1) % 24;
    }
    false
}

#[test]
fn the_day_is_left_alone_and_the_night_is_moved_to_its_end() {
    let night = FollowupPolicy::default();
    for (now, hours, zone, moment, ruling) in [
        ("2026-11-23T13:30:00Z", 1.0, "UTC", "2026-11-23T14:30:00.000Z", Ruling::Passed),
        ("2026-11-23T19:59:59.999Z", 1.0, "UTC", "2026-11-23T20:59:59.999Z", Ruling::Passed),
        ("2026-11-23T20:00:00Z", 1.0, "UTC", "2026-11-24T08:00:00.000Z", Ruling::Moved),
        ("2026-11-23T23:00:00Z", 8.999, "UTC", "2026-11-24T08:00:00.000Z", Ruling::Moved),
        ("2026-11-23T23:00:00Z", 9.0, "UTC", "2026-11-24T08:00:00.000Z", Ruling::Passed),
        ("2026-11-23T19:30:00Z", 1.0, "Europe/Berlin", "2026-11-24T07:00:00.000Z", Ruling::Moved),
        ("2026-11-23T13:30:00Z", 1.0, "Asia/Kathmandu", "2026-11-23T14:30:00.000Z", Ruling::Passed),
        ("2026-11-23T14:15:00Z", 1.0, "Asia/Kathmandu", "2026-11-24T02:15:00.000Z", Ruling::Moved),
        // The clocks of Berlin go forward on 2027-03-28 and back on 2026-10-25.
        ("2027-03-27T22:00:00Z", 1.0, "Europe/Berlin", "2027-03-28T06:00:00.000Z", Ruling::Moved),
        ("2026-10-24T22:00:00Z", 1.0, "Europe/Berlin", "2026-10-25T07:00:00.000Z", Ruling::Moved),
    ] {
        assert_eq!(moved(now, hours, zone, &night), (moment.to_owned(), ruling), "{now} {zone}");
    }
}

#[test]
fn quiet_hours_may_begin_or_end_at_midnight_or_be_off() {
    let now = "2026-11-23T12:30:00Z";
    for (from, until, moment) in [
        (13, 17, "2026-11-23T17:00:00.000Z"),
        (13, 24, "2026-11-24T00:00:00.000Z"),
        (13, 0, "2026-11-24T00:00:00.000Z"),
        (0, 14, "2026-11-23T14:00:00.000Z"),
        (24, 14, "2026-11-23T14:00:00.000Z"),
        (14, 13, "2026-11-23T13:30:00.000Z"),
        (13, 13, "2026-11-23T13:30:00.000Z"),
        (0, 0, "2026-11-23T13:30:00.000Z"),
        (24, 24, "2026-11-23T13:30:00.000Z"),
        (24, 0, "2026-11-23T13:30:00.000Z"),
    ] {
        assert_eq!(moved(now, 1.0, "UTC", &policy(from, until)).0, moment, "{from} {until}");
    }
    assert_eq!(moved(now, 1.0, "UTC", &policy(0, 24)).1, Ruling::Refused);
}

#[test]
fn if_the_only_free_hour_is_skipped_the_next_day_is_used() {
    let (moment, ruling) = moved("2027-03-27T02:00:00Z", 1.0, "Europe/Berlin", &policy(3, 2));
    assert_eq!((moment.as_str(), ruling), ("2027-03-29T00:00:00.000Z", Ruling::Moved));
}

#[test]
fn an_impossible_delay_or_time_is_refused() {
    let night = FollowupPolicy::default();
    for hours in [-1.0, 168.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
        assert_eq!(moved("2026-11-23T13:30:00Z", hours, "UTC", &night).1, Ruling::Refused, "{hours}");
    }
    for now in [i64::MAX, i64::MIN, 253_402_207_200_000] {
        let answer = not_before(UnixMillis(now), 100.0, &Zone::default(), &night).1;
        assert_eq!(answer.ruling, Ruling::Refused, "{now}");
    }
}

#[test]
fn a_zone_is_a_name_or_an_offset() {
    assert_eq!(Zone::parse("UTC").unwrap(), Zone::default());
    for zone in ZONES.iter().chain(&[" Europe/Berlin ", "europe/berlin", "Etc/GMT+5", "+00:00"]) {
        assert!(Zone::parse(zone).is_ok(), "{zone}");
    }
    for zone in ["", "Berlin", "Mars/Base", "+", "+26:00", "02:00", "Etc/Unknown", "EST5EDT,M3.2.0,M11.1.0", "Local"] {
        let error = Zone::parse(zone).unwrap_err();
        assert_eq!(error, ZoneError::Unknown(zone.to_owned()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_followup_is_never_in_quiet_hours_or_too_late(
        zone in prop::sample::select(ZONES.to_vec()), minutes in 0_i64..3 * 366 * 24 * 60, millis in 0_i64..60_000,
        hours in 1.0..=168.0_f64, from in 0_u8..=24, loud in 2_u8..=24,
    ) {
        let now = UnixMillis(at("2025-01-01T00:00:00Z").0 + minutes * 60_000 + millis);
        let until = (from + 24 - loud) % 24;
        check(now, hours, zone, from, until)?;
        check(now, hours, zone, 21, 8)?;
    }

    #[test]
    fn nor_when_the_clocks_change(
        change in prop::sample::select(vec![
            ("Europe/Berlin", "2026-03-29T01:00:00Z"), ("Europe/Berlin", "2026-10-25T01:00:00Z"),
            ("America/New_York", "2026-03-08T07:00:00Z"), ("America/New_York", "2026-11-01T06:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"), ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
            ("America/Havana", "2026-03-08T05:00:00Z"), ("America/Havana", "2026-11-01T05:00:00Z"),
            ("America/St_Johns", "2010-11-07T02:31:00Z"), ("Pacific/Apia", "2011-12-30T10:00:00Z"),
        ]),
        minutes in -48 * 60..24 * 60_i64, hours in 1.0..=24.0_f64, from in 0_u8..=24, loud in 2_u8..=24,
    ) {
        let now = UnixMillis(at(change.1).0 + minutes * 60_000);
        check(now, hours, change.0, from, (from + 24 - loud) % 24)?;
    }
}

fn check(now: UnixMillis, hours: f64, zone: &str, from: u8, until: u8) -> Result<(), TestCaseError> {
    let policy = policy(from, until);
    let (moment, answer) = not_before(now, hours, &Zone::parse(zone).unwrap(), &policy);
    prop_assert_ne!(answer.ruling, Ruling::Refused);
    prop_assert!(
        !is_quiet(shown(moment, zone), from, until),
        "{} in {zone}, quiet from {from} until {until}",
        moment.to_text()
    );
    let due = now.0 as f64 + hours * HOUR as f64;
    prop_assert!(moment.0 as f64 >= due - 1.0 && moment.0 as f64 <= due + 1.0 + DAY as f64, "{}", moment.to_text());
    prop_assert_eq!(answer.ruling == Ruling::Passed, moment.0 as f64 <= due + 1.0);
    Ok(())
}
