//! What the receiving servers said of an outcome: what people need first, blocked or gone. All of it comes from outside.

use super::{Addressees, Event};
use crate::resend::recipient::Recipient;

/// The longest of what one server said that is kept or shown, in characters.
const MOST: usize = 300;

impl Event<'_> {
    /// What the receiving servers said, each in one line, and not long.
    pub fn servers_said(&self) -> Vec<String> {
        self.diagnostics().iter().map(|text| in_one_line(text)).filter(|line| !line.is_empty()).collect()
    }

    /// What the receiving servers said of this recipient, in one line. Of an email to several, only what names this one: what is said of
    /// the others is theirs.
    pub fn servers_said_of(&self, recipient: &Recipient) -> Option<String> {
        let all = self.servers_said();
        let named: Vec<String> = all.iter().filter(|line| recipient.is_named_in(line)).cloned().collect();
        let theirs = match self.addressees() {
            Addressees::One(_) if named.is_empty() => all,
            _ => named,
        };
        (!theirs.is_empty()).then(|| in_one_line(&theirs.join("; ")))
    }
}

fn in_one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_of(to: &str, code: &str, who: &str) -> Option<String> {
        let data = format!(r#"{{"to":{to},"bounce":{{"type":"Permanent","diagnosticCode":{code}}}}}"#);
        let body = format!(r#"{{"type":"email.bounced","data":{data}}}"#);
        Event::read(body.as_bytes()).unwrap().servers_said_of(&Recipient::parse(who).unwrap())
    }

    #[test]
    fn what_a_server_said_is_one_line_and_only_of_whom_it_is_about() {
        let ann = "ann@example.com";
        let one = r#"["ann@example.com"]"#;
        let said = said_of(one, r#"["550-5.1.1 No such\r\n550 5.1.1 user\u001b[31m"]"#, ann);
        assert_eq!(said.as_deref(), Some("550-5.1.1 No such 550 5.1.1 user [31m"));
        assert_eq!(said_of(one, r#""554 5.7.1 blocked""#, ann).as_deref(), Some("554 5.7.1 blocked"));
        assert_eq!(said_of(one, "[]", ann), None);
        let both = r#"["ann@example.com","bob@example.com"]"#;
        let codes = r#"["550 <ann@example.com> gone","554 <bob@example.com> blocked"]"#;
        assert_eq!(said_of(both, codes, ann).as_deref(), Some("550 <ann@example.com> gone"));
        assert_eq!(said_of(both, r#"["550 gone"]"#, ann), None, "of one of them, and nobody knows of which");
        assert_eq!(said_of(one, &format!("[{:?}]", "x".repeat(9_000)), ann).unwrap().len(), 300);
    }
}
