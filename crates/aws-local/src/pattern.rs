//! The patterns of filters of event source mappings, as far as the template uses them: exact text and `prefix`
//! (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html>).
//!
//! Lambda has more rules, with their own limits. They are rejected here: a rule that is interpreted in another way than
//! on Lambda would deliver other records, and no test would show it.

use serde_json::{Map, Value};

/// A text that is not a supported pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The pattern is not a JSON object.
    #[error("a pattern must be a JSON object: {0}")]
    NotAnObject(String),
    /// A field has neither a list of rules nor an object.
    #[error("{0}: a field needs a list of at least one rule, or an object")]
    NoRules(String),
    /// A rule is neither a text nor a `prefix`.
    #[error("{0}: neither a text nor a prefix: {1}")]
    UnknownRule(String, String),
}

/// A pattern: all of its fields must match.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    fields: Vec<(String, Node)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Inner(Pattern),
    /// One of the rules must match.
    Leaf(Vec<Rule>),
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Equals(String),
    Prefix(String),
}

impl Pattern {
    /// Parses a pattern from JSON text.
    ///
    /// # Errors
    /// The text is not JSON, or not a supported pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let value: Value = serde_json::from_str(text).map_err(|error| PatternError::NotAnObject(error.to_string()))?;
        Self::from_value(&value)
    }

    /// Parses a pattern from JSON.
    ///
    /// # Errors
    /// The value is not a supported pattern.
    pub fn from_value(value: &Value) -> Result<Self, PatternError> {
        let fields = value.as_object().ok_or_else(|| PatternError::NotAnObject(value.to_string()))?;
        let field = |(name, value): (&String, &Value)| {
            let node = match value {
                Value::Array(rules) if !rules.is_empty() => {
                    Node::Leaf(rules.iter().map(|value| rule(name, value)).collect::<Result<_, _>>()?)
                }
                Value::Object(_) => Node::Inner(Self::from_value(value)?),
                _ => return Err(PatternError::NoRules(name.clone())),
            };
            Ok((name.clone(), node))
        };
        Ok(Self { fields: fields.iter().map(field).collect::<Result<_, _>>()? })
    }

    /// Returns true if an event matches.
    pub fn matches(&self, event: &Value) -> bool {
        self.fields.iter().all(|(name, node)| match (event.get(name), node) {
            (None, _) => false,
            (Some(value), Node::Inner(pattern)) => pattern.matches(value),
            (Some(value), Node::Leaf(rules)) => {
                value.as_str().is_some_and(|text| rules.iter().any(|rule| rule.matches(text)))
            }
        })
    }
}

fn rule(field: &str, value: &Value) -> Result<Rule, PatternError> {
    let unknown = || PatternError::UnknownRule(field.to_owned(), value.to_string());
    // Lambda reads `$or` as alternatives of a whole pattern.
    match value {
        Value::String(text) if field != "$or" => Ok(Rule::Equals(text.clone())),
        Value::Object(rule) => prefix(rule).map(|prefix| Rule::Prefix(prefix.to_owned())).ok_or_else(unknown),
        _ => Err(unknown()),
    }
}

/// Returns the prefix of a rule that has nothing else.
fn prefix(rule: &Map<String, Value>) -> Option<&str> {
    rule.get("prefix").filter(|_| rule.len() == 1)?.as_str()
}

impl Rule {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Equals(wanted) => text == wanted,
            Self::Prefix(prefix) => text.starts_with(prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(pattern: Value, event: Value) -> bool {
        Pattern::from_value(&pattern).unwrap().matches(&event)
    }

    #[test]
    fn every_rule_matches_what_it_says_and_nothing_else() {
        for (rules, matching, others) in [
            (json!(["a", "b"]), vec![json!("a"), json!("b")], vec![json!("c"), json!("A"), json!(null), json!({})]),
            (json!([""]), vec![json!("")], vec![json!(null), json!(" ")]),
            (json!([{"prefix": "ab"}]), vec![json!("ab"), json!("abc")], vec![json!("Ab"), json!("a"), json!(1)]),
            (json!([{"prefix": "a"}, "b"]), vec![json!("ax"), json!("b")], vec![json!("x"), json!(["b"])]),
        ] {
            for value in matching {
                assert!(matches(json!({ "field": rules }), json!({ "field": value })), "{rules} {value}");
            }
            for value in others {
                assert!(!matches(json!({ "field": rules }), json!({ "field": value })), "{rules} {value}");
            }
        }
    }

    #[test]
    fn every_field_must_match_and_what_is_absent_never_does() {
        let pattern = json!({ "a": ["1"], "b": { "c": [{"prefix": ""}] } });
        assert!(matches(pattern.clone(), json!({ "a": "1", "b": { "c": "2" }, "d": 3 })));
        assert!(!matches(pattern.clone(), json!({ "a": "1", "b": {} })));
        assert!(!matches(pattern.clone(), json!({ "a": "1" })));
        assert!(!matches(pattern, json!({ "b": { "c": "2" } })));
        assert!(matches(json!({}), json!({ "a": 1 })));
    }

    #[test]
    fn a_rule_that_aws_reads_in_its_own_way_is_refused() {
        for wrong in [
            json!([]),
            json!("a"),
            json!({ "a": "b" }),
            json!({ "a": [] }),
            json!({ "$or": [] }),
            json!({ "$or": [{ "a": ["1"] }, { "b": ["2"] }] }),
            json!({ "$or": ["a"] }),
            // AWS rejects it too: the exceptions are only texts or only numbers.
            json!({ "a": [{"anything-but": ["a", 1]}] }),
            json!({ "a": [{"anything-but": ["a"]}] }),
            json!({ "a": [{"exists": false}] }),
            json!({ "a": [{"numeric": [">", 1]}] }),
            json!({ "a": [{"suffix": "x"}] }),
            json!({ "a": [{"equals-ignore-case": "x"}] }),
            json!({ "a": [{"wildcard": "x*"}] }),
            json!({ "a": [{"prefix": 1}] }),
            json!({ "a": [{"prefix": {"equals-ignore-case": "x"}}] }),
            json!({ "a": [{"prefix": "a", "suffix": "b"}] }),
            json!({ "a": [1] }),
            json!({ "a": [null] }),
            json!({ "a": ["b", true] }),
            json!({ "a": [["b"]] }),
            json!({ "a": { "b": [{}] } }),
        ] {
            assert!(Pattern::from_value(&wrong).is_err(), "{wrong}");
        }
        assert!(Pattern::parse("{").is_err());
    }
}
