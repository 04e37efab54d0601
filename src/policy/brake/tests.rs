use proptest::prelude::*;

use super::*;

const HOUR: i64 = 60 * 60 * 1000;
const NOW: UnixMillis = UnixMillis(1_795_440_600_000); // 2026-11-23T13:30:00Z

fn cohort(hours_ago: i64, figures: &[(Counter, i64)]) -> (Cohort, CounterTotals) {
    (Cohort::containing(UnixMillis(NOW.0 - hours_ago * HOUR)), CounterTotals(figures.iter().copied().collect()))
}

/// A campaign that is an hour old, with this number of deliveries, and complaints one minute apart, the last one just
/// now.
fn young(delivered: i64, complained: i64) -> BrakeInput {
    BrakeInput {
        cohorts: vec![cohort(1, &[(Counter::Delivered, delivered), (Counter::Complained, complained)])],
        complaints: (0..complained).map(|index| UnixMillis(NOW.0 - index * 60_000)).collect(),
        late: LateSends::default(),
    }
}

fn computed(view: &BrakeInput) -> Brake {
    compute_brake(view, &BrakePolicy::default(), NOW)
}

#[test]
fn a_campaign_without_complaints_is_open() {
    let brake = computed(&young(100, 0));
    assert_eq!((brake.status, brake.volume, brake.until, brake.warning), (Status::Open, 1.0, None, None));
}

#[test]
fn in_a_small_campaign_each_complaint_halves_the_volume() {
    for (complaints, volume) in [(1, 0.5), (2, 0.25), (3, 0.125), (4, 0.0625), (5, 0.05), (400, 0.05)] {
        let brake = computed(&young(100, complaints));
        assert_eq!((brake.status, brake.volume), (Status::Slowed, volume), "{complaints}");
    }
}

#[test]
fn five_in_ten_thousand_are_passed_over() {
    for (delivered, complaints, volume) in
        [(1_999, 1, 0.5), (2_000, 1, 1.0), (2_000, 2, 0.5), (100_000, 50, 1.0), (100_000, 51, 0.5)]
    {
        assert_eq!(computed(&young(delivered, complaints)).volume, volume, "{complaints} of {delivered}");
    }
}

#[test]
fn a_complaint_older_than_24_hours_halves_no_more() {
    let mut view = young(100, 1);
    view.complaints = vec![UnixMillis(NOW.0 - 24 * HOUR)];
    assert_eq!(computed(&view).status, Status::Open);
    view.complaints = vec![UnixMillis(NOW.0 - 24 * HOUR + 1)];
    let brake = computed(&view);
    assert_eq!((brake.status, brake.until), (Status::Slowed, Some(UnixMillis(NOW.0 + 1))));
}

#[test]
fn a_rate_of_complaints_needs_as_many_as_a_limit_does() {
    let policy = BrakePolicy::default();
    for (delivered, complaints, percent) in
        [(2, 1, 0.0), (199, 50, 0.0), (200, 4, 0.0), (200, 5, 2.5), (5_000, 5, 0.1), (10_000, 10, 0.1), (0, 9, 0.0)]
    {
        let computed = complaint_percent(&young(delivered, complaints), &policy, NOW);
        assert_eq!(computed, percent, "{complaints} of {delivered}");
    }
    // The higher rate of the day and of the week.
    let of =
        |hours_ago, complaints| cohort(hours_ago, &[(Counter::Delivered, 1_000), (Counter::Complained, complaints)]);
    for (today, before, percent) in [(10, 0, 1.0), (0, 10, 0.5), (0, 0, 0.0)] {
        let view = BrakeInput { cohorts: vec![of(1, today), of(100, before)], ..BrakeInput::default() };
        assert_eq!(complaint_percent(&view, &policy, NOW), percent);
    }
    let none = BrakePolicy { complaint_limits: Vec::new(), ..policy };
    assert_eq!(complaint_percent(&young(1_000, 50), &none, NOW), 0.0);
}

#[test]
fn complaints_pause_at_3_per_1000_or_1_per_100_in_small_ones() {
    for (delivered, complaints, status) in [
        (3_333, 10, Status::Paused), // 0.30 %
        (3_334, 10, Status::Slowed),
        (1_000, 9, Status::Slowed), // 0.9 %, but fewer than ten, and below 1 %
        (1_000, 10, Status::Paused),
        (500, 5, Status::Paused), // 1 %
        (501, 5, Status::Slowed),
        (200, 5, Status::Paused),
        (199, 5, Status::Slowed),
        (7_000, 21, Status::Paused),
    ] {
        assert_eq!(computed(&young(delivered, complaints)).status, status, "{complaints} of {delivered}");
    }
}

#[test]
fn hard_bounces_pause_at_a_twentieth_and_at_a_tenth_of_fewer() {
    for (sent, bounced, status) in [
        (1_000, 50, Status::Paused),
        (1_000, 49, Status::Open),
        (1_001, 50, Status::Open),
        (999, 99, Status::Open),
        (200, 20, Status::Paused),
        (199, 20, Status::Open),
    ] {
        let figures = [(Counter::Sent, sent), (Counter::BouncedHard, bounced), (Counter::Delivered, sent - bounced)];
        let view = BrakeInput { cohorts: vec![cohort(1, &figures)], ..BrakeInput::default() };
        assert_eq!(computed(&view).status, status, "{bounced} of {sent}");
        let without_sent = BrakeInput { cohorts: vec![cohort(1, &figures[1..])], ..BrakeInput::default() };
        assert_eq!(computed(&without_sent).status, status, "{bounced} of {sent}, known from the outcomes alone");
    }
}

#[test]
fn both_windows_count_alike() {
    let bad_day = cohort(2, &[(Counter::Delivered, 200), (Counter::Complained, 5)]);
    let good_week = cohort(100, &[(Counter::Delivered, 100_000)]);
    let view = BrakeInput { cohorts: vec![bad_day, good_week.clone()], ..BrakeInput::default() };
    let brake = computed(&view);
    assert!(brake.status == Status::Paused && brake.reason.contains("24 hours"), "{brake:?}");
    let bad_week = cohort(100, &[(Counter::Delivered, 1_000), (Counter::Complained, 10)]);
    let brake = computed(&BrakeInput { cohorts: vec![bad_week], ..BrakeInput::default() });
    assert!(brake.status == Status::Paused && brake.reason.contains("7 days"), "{brake:?}");
    let long_ago = cohort(170, &[(Counter::Delivered, 1_000), (Counter::Complained, 10)]);
    assert_eq!(computed(&BrakeInput { cohorts: vec![long_ago], ..BrakeInput::default() }).status, Status::Open);
}

#[test]
fn complaints_about_emails_scheduled_20_days_ahead_pause() {
    let (created, figures) =
        cohort(20 * 24, &[(Counter::Sent, 400), (Counter::Delivered, 400), (Counter::Complained, 5)]);
    let of = |sent: i64, hours_ago: i64| {
        let mut late = LateSends::default();
        late.add(created, Cohort::containing(UnixMillis(NOW.0 - hours_ago * HOUR)), sent);
        computed(&BrakeInput { cohorts: vec![(created, figures.clone())], late, complaints: vec![NOW] })
    };
    assert_eq!(of(400, 1).status, Status::Paused);
    assert!(of(400, 30).reason.contains("7 days"), "{:?}", of(400, 30));
    let brake = of(40, 1);
    // A week after the hour of sending has ended.
    let until = Cohort::containing(NOW).start().plus(days(7));
    assert_eq!((brake.status, brake.until), (Status::Paused, Some(until)));
    assert_eq!(of(39, 1).status, Status::Slowed, "less than a tenth: only the complaint counts");
    assert_eq!(of(400, 200).status, Status::Slowed, "it was sent before the week");
}

#[test]
fn halfway_to_a_limit_is_a_warning() {
    let warned = |delivered, complaints| computed(&young(delivered, complaints)).warning.is_some();
    assert!(warned(3_333, 5) && !warned(3_334, 5), "0.15 %");
    assert!(warned(600, 3) && !warned(601, 3), "0.5 %");
    assert!(!warned(3_333, 10), "it is paused, not warned of");
    let bounced = [(Counter::Sent, 1_000), (Counter::BouncedHard, 25)];
    assert!(computed(&BrakeInput { cohorts: vec![cohort(1, &bounced)], ..BrakeInput::default() }).warning.is_some());
}

#[test]
fn the_reason_can_be_read() {
    assert_eq!(
        computed(&young(2_500, 3)).reason,
        "3 complaints in the last 24 hours (allowed: 1, for 2500 delivered in 7 days); each further one halves the volume"
    );
    assert_eq!(
        computed(&young(1_000, 12)).reason,
        "12 complaints of 1000 delivered in the last 24 hours: 1.20 %; the limit is 0.3 %"
    );
}

fn views() -> impl Strategy<Value = BrakeInput> {
    let counter = prop::sample::select(Counter::ALL.to_vec());
    let figures = prop::collection::btree_map(counter, 0..3_000_i64, 0..5);
    let cohorts = prop::collection::btree_map(0..200_i64, figures, 0..6);
    let complaints = prop::collection::vec(0..30 * HOUR, 0..20);
    let late = prop::collection::vec((0..6_usize, 0..200_i64, 1..3_000_i64), 0..6);
    (cohorts, complaints, late).prop_map(|(cohorts, complaints, sent_late)| {
        let hour = |ago: i64| Cohort::containing(UnixMillis(NOW.0 - ago * HOUR));
        let cohorts: Vec<_> = cohorts.into_iter().map(|(ago, figures)| (hour(ago), CounterTotals(figures))).collect();
        let mut late = LateSends::default();
        for (cohort, ago, sent) in sent_late {
            cohorts.get(cohort).into_iter().for_each(|(cohort, _)| late.add(*cohort, hour(ago), sent));
        }
        let complaints = complaints.into_iter().map(|ago| UnixMillis(NOW.0 - ago)).collect();
        BrakeInput { cohorts, late, complaints }
    })
}

proptest! {
    #[test]
    fn the_volume_is_a_fraction_and_agrees_with_the_status(view in views()) {
        let brake = computed(&view);
        let agrees = match brake.status {
            Status::Open => brake.volume == 1.0 && brake.until.is_none(),
            Status::Slowed => (0.05..1.0).contains(&brake.volume),
            Status::Paused => brake.volume == 0.0,
        };
        prop_assert!(agrees, "{brake:?}");
    }

    #[test]
    fn until_is_when_it_opens_by_itself_and_not_before(view in views()) {
        if let Some(until) = computed(&view).until {
            prop_assert!(until > NOW);
            prop_assert_eq!(compute_brake(&view, &BrakePolicy::default(), until).status, Status::Open);
            let just_before = compute_brake(&view, &BrakePolicy::default(), UnixMillis(until.0 - 1));
            prop_assert!(just_before.status != Status::Open, "{:?}", just_before);
        }
    }

    #[test]
    fn the_order_of_what_was_counted_does_not_matter(view in views()) {
        let mut other = view.clone();
        other.cohorts.reverse();
        other.complaints.reverse();
        prop_assert_eq!(computed(&view), computed(&other));
    }

    #[test]
    fn one_more_complaint_never_raises_the_volume(view in views(), ago in 0..24 * HOUR) {
        let mut more = view.clone();
        more.complaints.push(UnixMillis(NOW.0 - ago));
        match more.cohorts.last_mut() {
            Some((_, figures)) => figures.add(Counter::Complained, 1),
            None => more.cohorts.push(cohort(0, &[(Counter::Complained, 1)])),
        }
        prop_assert!(computed(&more).volume <= computed(&view).volume);
    }
}
