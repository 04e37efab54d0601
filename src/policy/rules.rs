//! Built-in rules, which decide when Claude does not: if Claude is switched off, fails, or gives an answer that is
//! rejected.
//!
//! They never propose a follow-up. A useful text depends on the emails and links that a person has read, and these
//! rules read none of them. So the rules record the engagement, and ask a person to look if there is much of it.

use super::answer::{Choice, Interest};
use crate::time::UnixMillis;

/// Number of days with clicks from which the engagement is strong.
const SEVERAL_DAYS: usize = 2;

/// Number of distinct clicked links from which the engagement is strong.
const SEVERAL_LINKS: usize = 3;

/// A recipient's engagement, as the rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EngagementSummary {
    /// True for a click, false for an open.
    pub clicked: bool,
    /// True if the verdict is human.
    pub human: bool,
    /// Number of distinct clicked links.
    pub distinct_links: usize,
    /// Number of days with clicks.
    pub days_active: usize,
}

/// Returns the choice of the rules. It is never a follow-up.
///
/// | event                                                        | choice                     |
/// |--------------------------------------------------------------|----------------------------|
/// | an open                                                      | log it, low                |
/// | a click with a verdict other than human                      | log it, medium             |
/// | a human click                                                | log it, high               |
/// | … on at least two days, or on at least three distinct links  | leave it to a person       |
pub fn decide(engaged: &EngagementSummary) -> Choice {
    let log = |interest, reason: &str| Choice::LogEngagement { interest, reason: reason.to_owned() };
    match engaged {
        EngagementSummary { clicked: false, .. } => {
            log(Interest::Low, "The email was opened, and no link was clicked.")
        }
        EngagementSummary { human: false, .. } => {
            log(Interest::Medium, "A link was clicked, though not certainly by a person.")
        }
        EngagementSummary { days_active, .. } if *days_active >= SEVERAL_DAYS => {
            Choice::HandToHuman { reason: format!("A person clicked on {days_active} days.") }
        }
        EngagementSummary { distinct_links, .. } if *distinct_links >= SEVERAL_LINKS => {
            Choice::HandToHuman { reason: format!("A person clicked {distinct_links} different links.") }
        }
        EngagementSummary { .. } => log(Interest::High, "A person clicked a link."),
    }
}

/// Returns the choice for a click on an opt-out or preference link, which blocks follow-ups until `until`: record it
/// with low interest.
pub fn opted_out(until: UnixMillis) -> Choice {
    let until = until.to_text();
    let reason = format!("An opt-out or preference link was clicked: no follow-up to this recipient until {until}.");
    Choice::LogEngagement { interest: Interest::Low, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(clicked: bool, human: bool, distinct_links: usize, days_active: usize) -> Choice {
        decide(&EngagementSummary { clicked, human, distinct_links, days_active })
    }

    fn interest(choice: &Choice) -> Option<Interest> {
        match choice {
            Choice::LogEngagement { interest, .. } => Some(*interest),
            _ => None,
        }
    }

    #[test]
    fn interest_grows_from_an_open_to_a_persons_click() {
        assert_eq!(interest(&decided(false, true, 0, 0)), Some(Interest::Low));
        assert_eq!(interest(&decided(false, false, 9, 9)), Some(Interest::Low));
        assert_eq!(interest(&decided(true, false, 9, 9)), Some(Interest::Medium));
        assert_eq!(interest(&decided(true, true, 2, 1)), Some(Interest::High));
    }

    #[test]
    fn strong_engagement_is_left_to_a_person() {
        for (links, days) in [(1, 2), (3, 1), (9, 9)] {
            assert!(matches!(decided(true, true, links, days), Choice::HandToHuman { .. }), "{links} {days}");
        }
    }

    #[test]
    fn the_rules_never_propose_a_followup() {
        for clicked in [false, true] {
            for human in [false, true] {
                for links in 0..5 {
                    for days in 0..5 {
                        let choice = decided(clicked, human, links, days);
                        assert!(!matches!(choice, Choice::ScheduleFollowup { .. }));
                        assert!(!choice.reason().is_empty());
                    }
                }
            }
        }
    }
}
