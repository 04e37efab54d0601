//! The trial: the recipients that may get a follow-up from Rebound (`FOLLOWUP_RECIPIENTS`).

use std::collections::BTreeSet;

use crate::resend::recipient::Recipient;

/// Recipients that may get a follow-up. For others it remains a proposal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedRecipients {
    /// Everybody.
    #[default]
    All,
    /// These addresses, and every address of these domains.
    Some {
        /// The addresses.
        addresses: BTreeSet<String>,
        /// The domains, each that domain alone.
        domains: BTreeSet<String>,
    },
}

/// An unusable entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    /// The entry is neither an address nor a domain.
    #[error("{0:?} is neither an address nor @domain; separate entries by commas, or use * for everybody")]
    Invalid(String),
}

impl AllowedRecipients {
    /// Parses addresses and `@domain`, separated by commas, or `*`. An empty text allows everybody. Entries are spelled
    /// as every address is.
    pub fn parse(text: &str) -> Result<Self, TrialError> {
        let entries: Vec<&str> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
        if entries.is_empty() || entries.contains(&"*") {
            return Ok(Self::All);
        }
        let (mut addresses, mut domains) = (BTreeSet::new(), BTreeSet::new());
        for entry in entries {
            let invalid = || TrialError::Invalid(entry.to_owned());
            if entry.starts_with('@') {
                let spelled = Recipient::parse(&format!("x{entry}")).ok_or_else(invalid)?;
                domains.insert(domain(&spelled).to_owned());
            } else {
                addresses.insert(Recipient::parse(entry).ok_or_else(invalid)?.as_str().to_owned());
            }
        }
        Ok(Self::Some { addresses, domains })
    }

    /// Returns true if this recipient may get a follow-up.
    pub fn allows(&self, recipient: &Recipient) -> bool {
        match self {
            Self::All => true,
            Self::Some { addresses, domains } => {
                addresses.contains(recipient.as_str()) || domains.contains(domain(recipient))
            }
        }
    }
}

fn domain(recipient: &Recipient) -> &str {
    recipient.as_str().rsplit_once('@').map_or("", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: &str, address: &str) -> bool {
        AllowedRecipients::parse(list).unwrap().allows(&Recipient::parse(address).unwrap())
    }

    #[test]
    fn a_list_allows_its_addresses_and_its_domains_alone() {
        for (list, address, expected) in [
            ("", "ann@example.com", true),
            ("*", "ann@example.com", true),
            ("bob@example.com, *", "ann@example.com", true),
            ("Ann@Example.com", "ann@example.com", true),
            ("ann@example.com", "bob@example.com", false),
            ("@Example.com", "ann@example.com", true),
            ("@example.com", "ann@mail.example.com", false),
            ("@bücher.example", "ann@xn--bcher-kva.example", true),
            ("bob@other.example,@example.com", "ann@example.com", true),
        ] {
            assert_eq!(allows(list, address), expected, "{list} {address}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for list in ["example.com", "@", "ann@example.com, nobody", "ann@"] {
            assert!(AllowedRecipients::parse(list).is_err(), "{list}");
        }
    }
}
