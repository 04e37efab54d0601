//! The time in a cell of a list.

use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::Offset;
use rebound::time::UnixMillis;

/// From here on, a number is of milliseconds: in seconds it would be in the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;

/// Below it, a number is no time, but a year, a code or a count: in seconds it would be in 1973.
const SECONDS_FROM: f64 = 1e8;

/// Reads a time: RFC 3339, the same with a space and without a zone (then it is UTC), a date alone (its first moment, UTC), RFC 2822, or
/// seconds or milliseconds since 1970. `None`: it is none of these, or can be read in more ways than one, as 11/12/2026.
pub fn parse(text: &str) -> Option<UnixMillis> {
    let text = text.trim();
    UnixMillis::parse(text).or_else(|| since_epoch(text)).or_else(|| without_zone(text)).or_else(|| of_email(text))
}

fn since_epoch(text: &str) -> Option<UnixMillis> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) || text.contains(|c: char| !c.is_ascii_digit() && c != '.') {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    let millis = if number >= MILLISECONDS_FROM { number } else { number * 1_000.0 };
    // Past this, jiff knows no time either.
    (number >= SECONDS_FROM && millis < 2e14).then_some(UnixMillis(millis.round() as i64))
}

fn without_zone(text: &str) -> Option<UnixMillis> {
    let moment = Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?;
    Some(UnixMillis(moment.as_millisecond()))
}

/// RFC 2822, as it stands in emails. Go writes `UTC` there, which that standard does not have.
fn of_email(text: &str) -> Option<UnixMillis> {
    let moment = match text.strip_suffix(" UTC") {
        Some(rest) => rfc2822::parse(&format!("{rest} GMT")),
        None => rfc2822::parse(text),
    };
    Some(UnixMillis(moment.ok()?.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_in_which_exports_write_a_time_is_read() {
        for text in [
            "2026-11-23T13:05:00Z",
            "2026-11-23T13:05:00.000000+00:00",
            "2026-11-23T08:05:00-05:00",
            "2026-11-23 13:05:00+00",
            "2026-11-23 13:05:00",
            "2026-11-23T13:05",
            "Mon, 23 Nov 2026 13:05:00 UTC",
            "Mon, 23 Nov 2026 13:05:00 GMT",
            "Mon, 23 Nov 2026 14:05:00 +0100",
            "1795439100",
            "1795439100.0",
            "1795439100000",
            " 1795439100 ",
        ] {
            assert_eq!(parse(text), Some(UnixMillis(1_795_439_100_000)), "{text}");
        }
        assert_eq!(parse("2026-11-01").map(UnixMillis::to_text).unwrap(), "2026-11-01T00:00:00.000Z");
        assert_eq!(parse("1795439100.126"), Some(UnixMillis(1_795_439_100_126)));
    }

    #[test]
    fn what_is_no_time_or_two_is_none() {
        for text in [
            "",
            "soon",
            "2026",
            "42",
            "550",
            "11/12/2026",
            "23.11.2026",
            "1.79544E+09",
            "-1795439100",
            "2026-13-01",
            "999999999999999",
            "1.2.3",
            "+1795439100",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
