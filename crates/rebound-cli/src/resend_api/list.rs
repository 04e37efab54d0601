//! A list in pages (<https://resend.com/docs/api-reference/pagination>). Resend's responses are untrusted data: an entry that can't be read
//! is reported, and pages that do not advance end the list.

use std::collections::HashSet;

use serde_json::Value;

use super::answer::ResendError;

/// Most entries of a page.
pub(super) const PAGE: usize = 100;

/// Most pages that are read: a million entries.
const MAX_PAGES: usize = 10_000;

/// An entry of a list.
pub(super) trait ListItem: Sized {
    /// Reads an entry, or says what is wrong with it.
    fn read(entry: &Value) -> Result<Self, &'static str>;
}

/// An entry that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {place}{}: {why}", .id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default())]
pub struct Unread {
    /// Its place in the list, from 1.
    pub place: u64,
    /// Its id, where it has one.
    pub id: Option<String>,
    /// The fault in it.
    pub why: &'static str,
}

/// A reason for which a list was not read to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CutShort {
    /// There are more entries, but the pages do not advance.
    #[error("there are more entries, but Resend does not return the next page; run the command again")]
    Stuck,
    /// It is longer than a million entries.
    #[error("it is longer than a million entries")]
    TooLong,
    /// A page was not answered.
    #[error("a page could not be read: {0}")]
    Page(ResendError),
}

/// A list, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The entries, each once.
    pub entries: Vec<T>,
    /// Those that can't be read.
    pub unread: Vec<Unread>,
    /// The reason for which the list ends early. `None`: it was read to its end.
    pub cut_short: Option<CutShort>,
}

/// Puts pages together. It ends, whatever the pages are: no page is asked for twice, and there are not more than [`MAX_PAGES`].
///
/// A list may change while it is read, so an entry that comes twice, by its id, is taken once.
pub(super) struct PageReader<T> {
    listed: Listed<T>,
    seen: HashSet<String>,
    asked: HashSet<String>,
    place: u64,
}

impl<T: ListItem> PageReader<T> {
    pub(super) fn new() -> Self {
        let listed = Listed { entries: Vec::new(), unread: Vec::new(), cut_short: None };
        Self { listed, seen: HashSet::new(), asked: HashSet::new(), place: 0 }
    }

    /// Takes what can be read of a page. Returns the id after which the next page begins; `None` at the end.
    ///
    /// # Errors
    /// `Unreadable`: it is no page of a list.
    pub(super) fn take(&mut self, page: &Value) -> Result<Option<String>, ResendError> {
        let data = page.get("data").and_then(Value::as_array);
        let data = data.ok_or_else(|| ResendError::Unreadable("a page without `data`".to_owned()))?;
        let mut last = None;
        for entry in data {
            let id = entry.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
            last = id.or(last);
            if id.is_some_and(|id| !self.seen.insert(id.to_owned())) {
                continue;
            }
            self.place += 1;
            match T::read(entry) {
                Ok(entry) => self.listed.entries.push(entry),
                Err(why) => self.listed.unread.push(Unread { place: self.place, id: id.map(str::to_owned), why }),
            }
        }
        // Where it isn't said, a full page may not be the last.
        let has_more = page.get("has_more").and_then(Value::as_bool).unwrap_or(data.len() >= PAGE);
        if !has_more {
            return Ok(None);
        }
        let Some(last) = last.filter(|last| !self.asked.contains(*last)) else {
            self.listed.cut_short = Some(CutShort::Stuck);
            return Ok(None);
        };
        if self.asked.len() + 1 >= MAX_PAGES {
            self.listed.cut_short = Some(CutShort::TooLong);
            return Ok(None);
        }
        self.asked.insert(last.to_owned());
        Ok(Some(last.to_owned()))
    }

    /// Ends the list where a page was not answered.
    pub(super) fn broke_off(&mut self, error: ResendError) {
        self.listed.cut_short = Some(CutShort::Page(error));
    }

    /// Returns true if no second page was asked for yet.
    pub(super) fn is_at_the_first_page(&self) -> bool {
        self.asked.is_empty()
    }

    pub(super) fn listed(self) -> Listed<T> {
        self.listed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    impl ListItem for u64 {
        fn read(entry: &Value) -> Result<Self, &'static str> {
            entry.get("n").and_then(Value::as_u64).ok_or("no number")
        }
    }

    /// Reads a list of which every page is answered by `page`. Panics if that goes on for ever.
    fn read(mut page: impl FnMut(Option<&str>) -> Value) -> Listed<u64> {
        let (mut reader, mut after) = (PageReader::new(), None);
        for _ in 0..=MAX_PAGES {
            after = reader.take(&page(after.as_deref())).unwrap();
            if after.is_none() {
                return reader.listed();
            }
        }
        panic!("it goes on for ever");
    }

    #[test]
    fn pages_that_go_round_end_the_list_and_it_is_said() {
        let same = json!({ "has_more": true, "data": [{ "id": "a", "n": 1 }, { "id": "b", "n": 2 }] });
        let listed = read(|_| same.clone());
        assert_eq!((listed.entries, listed.cut_short), (vec![1, 2], Some(CutShort::Stuck)));
        let pages = ["a", "b"].map(|id| json!({ "has_more": true, "data": [{ "id": id, "n": 1 }] }));
        let mut round = pages.iter().cycle();
        assert_eq!(read(|_| round.next().unwrap().clone()).cut_short, Some(CutShort::Stuck));
        let listed = read(|_| json!({ "has_more": true, "data": [] }));
        assert_eq!((listed.entries, listed.cut_short), (vec![], Some(CutShort::Stuck)));
        let no_ids = json!({ "has_more": true, "data": [{ "n": 1 }] });
        assert_eq!(read(|_| no_ids.clone()).cut_short, Some(CutShort::Stuck));
    }

    #[test]
    fn a_list_without_an_end_is_read_for_a_million_entries() {
        let mut n = 0;
        let listed = read(|_| {
            n += 1;
            json!({ "has_more": true, "data": [{ "id": n.to_string(), "n": n }] })
        });
        assert_eq!((listed.entries.len(), listed.cut_short), (MAX_PAGES, Some(CutShort::TooLong)));
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_named_and_the_rest_is_taken() {
        let data = json!([{ "id": "a", "n": 1 }, { "id": "b" }, 5, { "n": 2 }, { "id": "a", "n": 1 }]);
        let listed = read(|_| json!({ "has_more": false, "data": data }));
        let unread: Vec<String> = listed.unread.iter().map(ToString::to_string).collect();
        assert_eq!((listed.entries, listed.cut_short), (vec![1, 2], None));
        assert_eq!(unread, ["entry 2 (b): no number", "entry 3: no number"]);
        let full: Vec<Value> = (0..PAGE).map(|n| json!({ "id": n.to_string(), "n": n })).collect();
        let silent = read(|after| json!({ "data": if after.is_none() { full.clone() } else { Vec::new() } }));
        assert_eq!((silent.entries.len(), silent.cut_short), (PAGE, None), "a full page is not taken for the last");
        assert!(PageReader::<u64>::new().take(&json!({ "object": "list" })).is_err());
    }

    proptest! {
        /// Whatever the pages are: it ends, nothing is taken twice, and whatever came is taken.
        #[test]
        fn whatever_comes_is_taken_once(
            pages in prop::collection::vec(prop::collection::vec(0_u64..30, 0..5), 1..20),
            more in prop::collection::vec(any::<bool>(), 20),
        ) {
            let mut came = HashSet::new();
            let mut pages = pages.iter().cycle().zip(more.iter().cycle());
            let listed = read(|_| {
                let (page, has_more) = pages.next().unwrap();
                came.extend(page.iter().copied());
                let data: Vec<Value> = page.iter().map(|n| json!({ "id": n.to_string(), "n": n })).collect();
                json!({ "has_more": has_more, "data": data })
            });
            let taken: HashSet<u64> = listed.entries.iter().copied().collect();
            prop_assert_eq!(taken.len(), listed.entries.len());
            prop_assert_eq!(taken, came);
        }
    }
}
