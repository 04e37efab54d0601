//! The language of a page.

use std::cmp::Ordering;

/// Maximum number of languages that are read from one `Accept-Language` header.
const MAX_RANGES: usize = 32;

/// A language in which the pages are written.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, strum::EnumIter, strum::EnumString, strum::IntoStaticStr,
)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
pub enum Language {
    /// English: the default.
    #[default]
    En,
    /// German.
    De,
    /// Spanish.
    Es,
    /// French.
    Fr,
    /// Portuguese.
    Pt,
    /// Chinese, in simplified characters.
    Zh,
}

impl Language {
    /// The language's tag (BCP 47), for `lang` and `Content-Language`.
    pub fn tag(self) -> &'static str {
        self.into()
    }

    /// Chooses the language that the reader prefers: the highest weight wins, then the earlier one. A region or a script
    /// is ignored: `de-CH` is German. Returns English if no language fits.
    /// <https://www.rfc-editor.org/rfc/rfc9110#name-accept-language>
    pub fn preferred(accept_language: Option<&str>) -> Self {
        let mut best: Option<(Self, f32)> = None;
        for (language, weight) in accept_language.unwrap_or_default().split(',').take(MAX_RANGES).filter_map(range) {
            let is_better = best.is_none_or(|(_, known)| weight.total_cmp(&known) == Ordering::Greater);
            if weight > 0.0 && is_better {
                best = Some((language, weight));
            }
        }
        best.map(|(language, _)| language).unwrap_or_default()
    }
}

/// Reads one entry, such as `pt-BR;q=0.8`. Returns `None` if no page is written in the language, or if the weight is
/// invalid. `*` means any language, so the default.
fn range(text: &str) -> Option<(Language, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let tag = parts.next()?;
    let language = match tag.split('-').next()? {
        "*" => Language::default(),
        primary => primary.parse().ok()?,
    };
    let weight = match parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="))) {
        Some(weight) => weight.trim().parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?,
        None => 1.0,
    };
    Some((language, weight))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_reader_gets_the_language_that_she_prefers() {
        for (header, expected) in [
            ("de", Language::De),
            ("de-CH, de;q=0.9, en;q=0.8", Language::De),
            ("en-GB,en;q=0.9,fr;q=0.8", Language::En),
            ("en;q=0.5, fr;q=0.8", Language::Fr),
            ("ja, es;q=0.3, pt;q=0.7", Language::Pt),
            ("zh-Hant-TW", Language::Zh),
            ("ZH-cn", Language::Zh),
            ("PT-br ; q=1.0", Language::Pt),
            ("fr;q=0, es;q=0.1", Language::Es),
            ("de;q=0.8,es;q=0.8", Language::De),
            ("fr;q=0.4, *;q=0.9", Language::En),
        ] {
            assert_eq!(Language::preferred(Some(header)), expected, "{header}");
        }
    }

    #[test]
    fn what_cannot_be_read_leaves_english() {
        for header in ["", " , ;", "ja", "de;q=2", "de;q=x", "de;q=-1", "de;q=NaN", "fr;q=0", "deutsch", "*", "😀"] {
            assert_eq!(Language::preferred(Some(header)), Language::En, "{header}");
        }
        assert_eq!(Language::preferred(None), Language::En);
    }

    proptest! {
        #[test]
        fn no_header_makes_the_choice_panic(header in "\\PC{0,80}") {
            let _ = Language::preferred(Some(&header));
        }
    }
}
