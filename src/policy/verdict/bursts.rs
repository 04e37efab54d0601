//! Bursts: several links of one email clicked at the same time, which no person does.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Action, OpenOrClick, said};
use crate::policy::limits::VerdictPolicy;
use crate::time::UnixMillis;

/// Bursts of clicks in one email.
///
/// A time is in a burst if a window of `burst_within_ms` contains it and clicks on `burst_links` distinct links. So
/// every click of a burst is in it, including the first and the last, and further clicks never remove one.
pub(super) struct Bursts<'a> {
    within: i64,
    links: usize,
    /// Beginnings of windows, with the number of distinct links clicked in each. A window can always be moved so that
    /// it begins with an open or click, so these windows are enough.
    windows: Vec<(UnixMillis, usize)>,
    clicks: Vec<&'a OpenOrClick>,
}

impl<'a> Bursts<'a> {
    /// Finds the bursts in `seen`, which must be in order of time.
    pub(super) fn of(seen: &[&'a OpenOrClick], policy: &VerdictPolicy) -> Self {
        let within = policy.burst_within_ms;
        let mut bursts = Self { within, links: policy.burst_links, windows: windows(seen, within), clicks: Vec::new() };
        let in_one = |seen: &&OpenOrClick| seen.action == Action::Clicked && bursts.around(seen.at).is_some();
        bursts.clicks = seen.iter().copied().filter(in_one).collect();
        bursts
    }

    /// Returns the number of links of the largest burst around a time, if there is one.
    pub(super) fn around(&self, at: UnixMillis) -> Option<usize> {
        let from = self.windows.partition_point(|(begin, _)| since(at, *begin) > self.within);
        let holding = self.windows.iter().skip(from).take_while(|(begin, _)| *begin <= at);
        holding.map(|(_, links)| *links).max().filter(|links| *links >= self.links)
    }

    /// Returns the time since the last click of a burst before `at`, in milliseconds, if it is within a burst's span.
    pub(super) fn just_before(&self, at: UnixMillis) -> Option<i64> {
        let ago = self.clicks.iter().filter(|click| click.at <= at).map(|click| since(at, click.at));
        ago.min().filter(|ago| *ago <= self.within)
    }

    /// Returns true if a click of a burst came from this address.
    pub(super) fn came_from(&self, ip: &str) -> bool {
        self.clicks.iter().any(|click| said(click.ip.as_deref()) == Some(ip))
    }
}

/// Returns, for each open or click, its time and the number of distinct links clicked from it on within a window. The
/// window slides, so that the number of steps grows only linearly with the clicks.
fn windows(seen: &[&OpenOrClick], within: i64) -> Vec<(UnixMillis, usize)> {
    let mut windows = Vec::with_capacity(seen.len());
    let mut clicks_on: HashMap<&str, usize> = HashMap::new();
    let mut coming = seen.iter().peekable();
    for first in seen {
        while let Some(next) = coming.next_if(|next| since(next.at, first.at) <= within) {
            if let Some(link) = clicked(next) {
                *clicks_on.entry(link).or_default() += 1;
            }
        }
        windows.push((first.at, clicks_on.len()));
        if let Some(link) = clicked(first)
            && let Entry::Occupied(mut clicks) = clicks_on.entry(link)
        {
            *clicks.get_mut() -= 1;
            if *clicks.get() == 0 {
                clicks.remove();
            }
        }
    }
    windows
}

/// Returns the clicked link.
pub(super) fn clicked(seen: &OpenOrClick) -> Option<&str> {
    seen.link.as_deref().filter(|link| seen.action == Action::Clicked && !link.is_empty())
}

/// Returns the number of milliseconds from one time to a later one.
pub(super) fn since(later: UnixMillis, earlier: UnixMillis) -> i64 {
    later.0.saturating_sub(earlier.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::resend::signature::MessageId;

    fn seen((at, link): (i64, Option<String>)) -> OpenOrClick {
        let action = if link.is_some() { Action::Clicked } else { Action::Opened };
        OpenOrClick {
            message: MessageId::from_verified(String::new()),
            action,
            at: UnixMillis(at),
            link,
            agent: None,
            ip: None,
        }
    }

    proptest! {
        #[test]
        fn a_window_counts_distinct_links_from_its_beginning_on(
            mut all in proptest::collection::vec(
                (prop_oneof![8 => 0..40_i64, 1 => any::<i64>()], proptest::option::of("[a-e]?")).prop_map(seen),
                0..40,
            ),
            within in 0..20_i64,
        ) {
            all.sort_by_key(|seen| seen.at);
            let all: Vec<&OpenOrClick> = all.iter().collect();
            let slid = windows(&all, within);
            prop_assert_eq!(slid.len(), all.len());
            for (index, (first, (at, links))) in all.iter().zip(slid).enumerate() {
                let inside = all[index..].iter().filter(|later| since(later.at, first.at) <= within);
                let expected: BTreeSet<&str> = inside.filter_map(|seen| clicked(seen)).collect();
                prop_assert_eq!((at, links), (first.at, expected.len()));
            }
        }
    }
}
