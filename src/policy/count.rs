//! A count with its noun: `1 complaint`, `2 complaints`.

use std::fmt::Display;

/// A number with its noun, which is in the singular where it is 1. Of several words the last one changes: `2 hard bounces`.
pub fn count<N: Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    if number == N::from(1) { format!("1 {noun}") } else { format!("{number} {}", plural(noun)) }
}

/// The same with its verb: `1 line was`, `2 lines were`.
pub fn count_were<N: Display + PartialEq + From<u8> + Copy>(number: N, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == N::from(1) { "was" } else { "were" })
}

/// The plural of a regular noun.
fn plural(noun: &str) -> String {
    let is_vowel = |c: char| "aeiou".contains(c);
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(is_vowel) => format!("{stem}ies"),
        _ if ["s", "x", "ch", "sh"].iter().any(|end| noun.ends_with(end)) => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_singular_and_none_and_many_are_plural() {
        assert_eq!(count(1_usize, "fault"), "1 fault");
        assert_eq!(count(0_i64, "fault"), "0 faults");
        assert_eq!(count(2_u64, "hard bounce"), "2 hard bounces");
        assert_eq!((count_were(1, "line"), count_were(0, "line")), ("1 line was".into(), "0 lines were".into()));
        for (noun, plural) in
            [("entry", "entries"), ("address", "addresses"), ("batch", "batches"), ("day", "days"), ("try", "tries")]
        {
            assert_eq!(count(3_u32, noun), format!("3 {plural}"));
        }
    }
}
