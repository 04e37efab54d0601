//! Several links of one mail clicked at once: no person does that.

use std::collections::BTreeSet;

use super::rules::said;
use super::{Action, Seen};
use crate::policy::numbers::VerdictPolicy;
use crate::time::UnixMillis;

/// The bursts in what was seen of one email.
///
/// A moment is in a burst if some window of `burst_within_ms` holds both it and clicks on `burst_links` distinct links. So every
/// click of a burst is in it, the first as well as the last, and further clicks never take one out of it.
pub(super) struct Bursts<'a> {
    within: i64,
    links: usize,
    /// Where a window begins, and how many distinct links were clicked in it. Any window can be moved on until it begins with
    /// something seen, so these are all there need be.
    windows: Vec<(UnixMillis, usize)>,
    clicks: Vec<&'a Seen>,
}

impl<'a> Bursts<'a> {
    /// The bursts in `seen`, which must be in order of time.
    pub(super) fn of(seen: &[&'a Seen], policy: &VerdictPolicy) -> Self {
        let within = policy.burst_within_ms;
        let window = |index: usize, first: &&Seen| {
            let inside = seen.iter().skip(index).take_while(|later| since(later.at, first.at) <= within);
            (first.at, inside.filter_map(|seen| clicked(seen)).collect::<BTreeSet<&str>>().len())
        };
        let windows = seen.iter().enumerate().map(|(index, first)| window(index, first)).collect();
        let mut bursts = Self { within, links: policy.burst_links, windows, clicks: Vec::new() };
        let in_one = |seen: &&Seen| seen.action == Action::Clicked && bursts.around(seen.at).is_some();
        bursts.clicks = seen.iter().copied().filter(in_one).collect();
        bursts
    }

    /// How many links the largest burst around a moment has, if it is in one.
    pub(super) fn around(&self, at: UnixMillis) -> Option<usize> {
        let from = self.windows.partition_point(|(begin, _)| since(at, *begin) > self.within);
        let holding = self.windows.iter().skip(from).take_while(|(begin, _)| *begin <= at);
        holding.map(|(_, links)| *links).max().filter(|links| *links >= self.links)
    }

    /// How long before a moment, in milliseconds, the last click of a burst was, if that is within a burst's span.
    pub(super) fn just_before(&self, at: UnixMillis) -> Option<i64> {
        let ago = self.clicks.iter().filter(|click| click.at <= at).map(|click| since(at, click.at));
        ago.min().filter(|ago| *ago <= self.within)
    }

    /// Whether a click of a burst came from this address.
    pub(super) fn came_from(&self, ip: &str) -> bool {
        self.clicks.iter().any(|click| said(click.ip.as_deref()) == Some(ip))
    }
}

fn clicked(seen: &Seen) -> Option<&str> {
    seen.link.as_deref().filter(|link| seen.action == Action::Clicked && !link.is_empty())
}

fn since(later: UnixMillis, earlier: UnixMillis) -> i64 {
    later.0.saturating_sub(earlier.0)
}
