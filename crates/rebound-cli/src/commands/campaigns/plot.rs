//! Bars of characters: they look the same on every terminal, and in a file.

use rebound::policy::counting::{Counter, CounterTotals};
use rebound_cli::operate::campaigns::{bounce_rate, complaint_rate};
use rebound_dev::output::count;

/// How wide a whole bar is, in characters.
const WIDTH: usize = 40;

/// An eighth of a character, two of them, and so on.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// A bar that is a fraction of a whole one.
fn bar(fraction: f64) -> String {
    let eighths = (fraction.clamp(0.0, 1.0) * WIDTH as f64 * 8.0).round() as usize;
    let mut bar: String = std::iter::repeat_n('█', eighths / 8).collect();
    bar.extend((eighths % 8).checked_sub(1).and_then(|left| EIGHTHS.get(left)));
    // What is not nothing is seen.
    if bar.is_empty() && fraction > 0.0 { "▏".to_owned() } else { bar }
}

/// How many mails were delivered of those that were sent, over time.
pub(super) fn mails(parts: &[(String, CounterTotals)]) {
    let most = parts.iter().map(|(_, figures)| figures.attempted()).max().unwrap_or(0).max(1);
    println!("delivered; a whole bar is {most} sent, the most of all");
    for (when, figures) in parts {
        let delivered = figures.get(Counter::Delivered);
        println!("{when:13} {:WIDTH$} {delivered} of {}", bar(delivered as f64 / most as f64), figures.attempted());
    }
    println!();
}

/// The rates of a day and of all, each against the limit that pauses, which is a whole bar.
pub(super) fn rates(day: &CounterTotals, all: &CounterTotals, bounce_limit: f64, complaint_limit: f64, days: u32) {
    println!("rates; a whole bar pauses the campaign");
    let all_name = count(days, "day");
    for (what, rate, limit) in [
        ("hard bounces", bounce_rate as fn(&CounterTotals) -> Option<f64>, bounce_limit),
        ("complaints", complaint_rate, complaint_limit),
    ] {
        for (when, figures) in [("24 hours", day), (all_name.as_str(), all)] {
            let rate = rate(figures).unwrap_or(0.0);
            println!(
                "{what:12} {when:9} |{:WIDTH$}| {:.3} % of {} %",
                bar(rate / limit),
                rate * 100.0,
                (limit * 1e5).round() / 1e3
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_fraction_and_what_is_not_nothing_is_seen() {
        assert_eq!(bar(1.0).chars().count(), WIDTH);
        assert_eq!(bar(7.0).chars().count(), WIDTH);
        assert_eq!(bar(0.5), "█".repeat(WIDTH / 2));
        assert_eq!((bar(0.0), bar(1e-9)), (String::new(), "▏".to_owned()));
        assert_eq!(bar(f64::NAN), "");
    }
}
