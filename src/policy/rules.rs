//! The written rules, which decide when Claude does not: when it is switched off, gives no answer, or one that is refused.
//!
//! They never write to anybody. What is worth saying to a person depends on what they read and clicked, and nothing here reads
//! that; without a reader of the facts there is no text worth sending, only a form letter that looks like one. So the rules note
//! the interest, and call a person where there is much of it.

use super::answer::{Choice, Interest};
use crate::time::UnixMillis;

/// From so many days on which somebody clicked, it is no passing interest.
const SEVERAL_DAYS: usize = 2;

/// From so many distinct links that somebody clicked, it is no passing interest.
const SEVERAL_LINKS: usize = 3;

/// What somebody did with a mail, as far as the rules look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Engaged {
    /// They clicked. Otherwise they only opened it.
    pub clicked: bool,
    /// It was certainly a person.
    pub human: bool,
    /// How many distinct links they clicked.
    pub distinct_links: usize,
    /// On how many days they clicked.
    pub days_active: usize,
}

/// What to do about it: never a follow-up.
///
/// | what                                                         | choice                     |
/// |--------------------------------------------------------------|----------------------------|
/// | an open                                                      | log it, low                |
/// | a click, not certainly a person's                            | log it, medium             |
/// | a person's click                                             | log it, high               |
/// | … on at least two days, or on at least three distinct links  | leave it to a person       |
pub fn decide(engaged: &Engaged) -> Choice {
    let log = |interest, reason: &str| Choice::LogEngagement { interest, reason: reason.to_owned() };
    match engaged {
        Engaged { clicked: false, .. } => log(Interest::Low, "The mail was opened and nothing in it was clicked."),
        Engaged { human: false, .. } => log(Interest::Medium, "A link was clicked, though not certainly by a person."),
        Engaged { days_active, .. } if *days_active >= SEVERAL_DAYS => {
            Choice::HandToHuman { reason: format!("A person clicked on {days_active} days.") }
        }
        Engaged { distinct_links, .. } if *distinct_links >= SEVERAL_LINKS => {
            Choice::HandToHuman { reason: format!("A person clicked {distinct_links} different links.") }
        }
        Engaged { .. } => log(Interest::High, "A person clicked a link."),
    }
}

/// What to do about a click on an opt-out or preference link, which stands against follow-ups until then: note it, as the least of interests.
pub fn opted_out(until: UnixMillis) -> Choice {
    let until = until.to_text();
    let reason =
        format!("An opt-out or preference link was clicked: no follow-up goes to this recipient until {until}.");
    Choice::LogEngagement { interest: Interest::Low, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(clicked: bool, human: bool, distinct_links: usize, days_active: usize) -> Choice {
        decide(&Engaged { clicked, human, distinct_links, days_active })
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
    fn a_person_who_comes_back_or_clicks_much_is_left_to_a_person() {
        for (links, days) in [(1, 2), (3, 1), (9, 9)] {
            assert!(matches!(decided(true, true, links, days), Choice::HandToHuman { .. }), "{links} {days}");
        }
    }

    #[test]
    fn the_rules_never_write_to_anybody() {
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
