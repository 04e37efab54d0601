//! Bars of characters: they look the same on every terminal, and in a file.

use rebound::policy::counting::{Counter, CounterTotals};
use rebound_cli::operate::campaigns::{bounce_rate, complaint_rate};
use rebound_dev::output::count;

/// Width of a full bar, in characters.
const WIDTH: usize = 40;

/// One eighth of a character, two eighths, and so on.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// Returns a bar that is `fraction` of a full bar.
fn bar(fraction: f64) -> String {
    let eighths = (fraction.clamp(0.0, 1.0) * WIDTH as f64 * 8.0).round() as usize;
    let mut bar: String = std::iter::repeat_n('█', eighths / 8).collect();
    bar.extend((eighths % 8).checked_sub(1).and_then(|left| EIGHTHS.get(left)));
    // A value above zero is always visible.
    if bar.is_empty() && fraction > 0.0 { "▏".to_owned() } else { bar }
}

/// Prints the number of delivered emails out of the sent ones, over time.
pub(super) fn emails(parts: &[(String, CounterTotals)]) {
    let most = parts.iter().map(|(_, figures)| figures.attempted()).max().unwrap_or(0).max(1);
    println!("delivered emails; a full bar is {most} sent emails, the maximum of all rows");
    for (when, figures) in parts {
        let delivered = figures.get(Counter::Delivered);
        println!("{when:13} {:WIDTH$} {delivered} of {}", bar(delivered as f64 / most as f64), figures.attempted());
    }
    println!();
}

/// Prints the rates of the last day and of the whole period. A full bar is the limit that pauses the campaign.
pub(super) fn rates(day: &CounterTotals, all: &CounterTotals, bounce_limit: f64, complaint_limit: f64, days: u32) {
    println!("rates; a full bar is the limit that pauses the campaign");
    let all_name = count(days, "day");
    for (what, rate, limit) in [
        ("hard bounces", bounce_rate as fn(&CounterTotals) -> Option<f64>, bounce_limit),
        ("complaints", complaint_rate, complaint_limit),
    ] {
        for (when, figures) in [("24 hours", day), (all_name.as_str(), all)] {
            let rate = rate(figures);
            let is = rate.map_or_else(|| "–".to_owned(), |rate| format!("{:.3} %", rate * 100.0));
            let bar = bar(rate.unwrap_or(0.0) / limit);
            println!("{what:12} {when:9} |{bar:WIDTH$}| {is} of {} %", (limit * 1e5).round() / 1e3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_its_fraction_and_any_value_above_zero() {
        assert_eq!(bar(1.0).chars().count(), WIDTH);
        assert_eq!(bar(7.0).chars().count(), WIDTH);
        assert_eq!(bar(0.5), "█".repeat(WIDTH / 2));
        assert_eq!((bar(0.0), bar(1e-9)), (String::new(), "▏".to_owned()));
        assert_eq!(bar(f64::NAN), "");
    }
}
