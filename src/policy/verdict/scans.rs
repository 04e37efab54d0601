//! Scans: several links of one email clicked one after another, soon after delivery, by a slow scanner.

use std::collections::{BTreeMap, BTreeSet};

use super::bursts::{clicked, since};
use super::{OpenOrClick, said};
use crate::policy::limits::VerdictPolicy;
use crate::time::UnixMillis;

/// Identity of a visitor: the same address, or the same agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Visitor<'a> {
    Address(&'a str),
    Agent(&'a str),
}

impl<'a> Visitor<'a> {
    /// Returns the visitors that a click belongs to: by its address and by its agent, if it has them.
    fn of(seen: &'a OpenOrClick) -> impl Iterator<Item = Self> {
        let address = said(seen.ip.as_deref()).map(Self::Address);
        address.into_iter().chain(said(seen.agent.as_deref()).map(Self::Agent))
    }
}

/// Clicks of one visitor, each within `scan_gap_ms` of the previous one.
#[derive(Clone, Debug)]
struct ClickRun<'a> {
    first: UnixMillis,
    last: UnixMillis,
    links: BTreeSet<&'a str>,
    addresses: BTreeSet<&'a str>,
}

/// Scans in one email: runs of clicks on `scan_links` distinct links that begin at most `scan_begins_within_ms` after
/// delivery.
///
/// Every click of a run is in it, including the first and the last. Further clicks make runs longer and earlier, so
/// they never remove a click from a scan.
pub(super) struct Scans<'a>(BTreeMap<Visitor<'a>, Vec<ClickRun<'a>>>);

impl<'a> Scans<'a> {
    /// Finds the scans in `seen`, which must be in order of time. Without a time of delivery there are none.
    pub(super) fn of(seen: &[&'a OpenOrClick], delivered_at: Option<UnixMillis>, policy: &VerdictPolicy) -> Self {
        let Some(delivered_at) = delivered_at else { return Self(BTreeMap::new()) };
        let mut runs: BTreeMap<Visitor<'a>, Vec<ClickRun<'a>>> = BTreeMap::new();
        for click in seen {
            let Some(link) = clicked(click) else { continue };
            for visitor in Visitor::of(click) {
                let runs = runs.entry(visitor).or_default();
                let run = match runs.last_mut() {
                    Some(run) if since(click.at, run.last) <= policy.scan_gap_ms => run,
                    _ => {
                        let (links, addresses) = (BTreeSet::new(), BTreeSet::new());
                        runs.push(ClickRun { first: click.at, last: click.at, links, addresses });
                        let Some(run) = runs.last_mut() else { continue };
                        run
                    }
                };
                run.last = click.at;
                run.links.insert(link);
                run.addresses.extend(said(click.ip.as_deref()));
            }
        }
        let is_scan = |run: &ClickRun<'_>| {
            run.links.len() >= policy.scan_links && since(run.first, delivered_at) <= policy.scan_begins_within_ms
        };
        runs.values_mut().for_each(|runs| runs.retain(is_scan));
        runs.retain(|_, runs| !runs.is_empty());
        Self(runs)
    }

    /// Returns the number of links of the largest scan with this click, if there is one.
    pub(super) fn around(&self, click: &OpenOrClick) -> Option<usize> {
        clicked(click)?;
        let runs = Visitor::of(click).filter_map(|visitor| self.0.get(&visitor)).flatten();
        let holding = runs.filter(|run| run.first <= click.at && click.at <= run.last);
        holding.map(|run| run.links.len()).max()
    }

    /// Returns true if a click of a scan came from this address.
    pub(super) fn came_from(&self, ip: &str) -> bool {
        self.0.values().flatten().any(|run| run.addresses.contains(ip))
    }
}
