//! The patterns by which a mapping's filters choose records, as Lambda has them
//! (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html>).

use serde_json::{Map, Value};

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not a JSON object.
    #[error("a pattern must be a JSON object: {0}")]
    NotAnObject(String),
    /// A field has neither a list of rules nor an object.
    #[error("{0}: a field needs a list of at least one rule, or an object")]
    NoRules(String),
    /// A rule is none of those that are known here. Lambda may know it; to guess would be to deliver the wrong records.
    #[error("{0}: not a rule that is known: {1}")]
    UnknownRule(String, String),
}

/// A pattern: all of its fields must match.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    fields: Vec<(String, Node)>,
    /// `$or`: and one of these, if there are any.
    alternatives: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Inner(Pattern),
    /// One of the rules must match.
    Leaf(Vec<Rule>),
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Equals(Value),
    EqualsIgnoreCase(String),
    Prefix(String),
    Suffix(String),
    AnythingBut(Vec<Value>),
    Exists(bool),
    Numeric(Vec<(Comparison, f64)>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Pattern {
    /// Reads a pattern from JSON text.
    ///
    /// # Errors
    /// It is not JSON, or not a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let value: Value = serde_json::from_str(text).map_err(|error| PatternError::NotAnObject(error.to_string()))?;
        Self::from_value(&value)
    }

    /// Reads a pattern from JSON.
    ///
    /// # Errors
    /// It is not a pattern.
    pub fn from_value(value: &Value) -> Result<Self, PatternError> {
        let fields = value.as_object().ok_or_else(|| PatternError::NotAnObject(value.to_string()))?;
        let mut pattern = Self { fields: Vec::new(), alternatives: Vec::new() };
        for (name, value) in fields {
            match value {
                Value::Array(alternatives) if name == "$or" && !alternatives.is_empty() => {
                    pattern.alternatives = alternatives.iter().map(Self::from_value).collect::<Result<_, _>>()?;
                }
                Value::Array(rules) if !rules.is_empty() => {
                    let rules = rules.iter().map(|value| rule(name, value)).collect::<Result<_, _>>()?;
                    pattern.fields.push((name.clone(), Node::Leaf(rules)));
                }
                Value::Object(_) => pattern.fields.push((name.clone(), Node::Inner(Self::from_value(value)?))),
                _ => return Err(PatternError::NoRules(name.clone())),
            }
        }
        Ok(pattern)
    }

    /// Whether an event matches.
    pub fn matches(&self, event: &Value) -> bool {
        self.matches_at(Some(event))
    }

    /// `None` where nothing is at all, so that `exists: false` holds below it too.
    fn matches_at(&self, event: Option<&Value>) -> bool {
        if let Some(Value::Array(items)) = event {
            return items.iter().any(|item| self.matches_at(Some(item)));
        }
        let all = self.fields.iter().all(|(name, node)| {
            let value = event.and_then(|event| event.get(name));
            match node {
                Node::Inner(pattern) => pattern.matches_at(value),
                Node::Leaf(rules) => rules.iter().any(|rule| rule.matches(value)),
            }
        });
        all && (self.alternatives.is_empty() || self.alternatives.iter().any(|pattern| pattern.matches_at(event)))
    }
}

fn rule(field: &str, value: &Value) -> Result<Rule, PatternError> {
    let unknown = || PatternError::UnknownRule(field.to_owned(), value.to_string());
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(unknown);
    match value {
        Value::Array(_) => Err(unknown()),
        Value::Object(rule) => {
            let (name, operand) = only(rule).ok_or_else(unknown)?;
            match name {
                "prefix" => text(operand).map(Rule::Prefix),
                "suffix" => text(operand).map(Rule::Suffix),
                "equals-ignore-case" => text(operand).map(Rule::EqualsIgnoreCase),
                "exists" => operand.as_bool().map(Rule::Exists).ok_or_else(unknown),
                "anything-but" => anything_but(operand).map(Rule::AnythingBut).ok_or_else(unknown),
                "numeric" => numeric(operand).map(Rule::Numeric).ok_or_else(unknown),
                _ => Err(unknown()),
            }
        }
        exact => Ok(Rule::Equals(exact.clone())),
    }
}

fn only(rule: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = rule.iter();
    entries.next().filter(|_| entries.next().is_none()).map(|(name, operand)| (name.as_str(), operand))
}

fn anything_but(operand: &Value) -> Option<Vec<Value>> {
    let values = operand.as_array().cloned().unwrap_or_else(|| vec![operand.clone()]);
    (!values.is_empty() && values.iter().all(|value| value.is_string() || value.is_number())).then_some(values)
}

fn numeric(operand: &Value) -> Option<Vec<(Comparison, f64)>> {
    let operands = operand.as_array().filter(|operands| !operands.is_empty())?;
    let comparison = |pair: &[Value]| {
        let [sign, number] = pair else { return None };
        let comparison = match sign.as_str()? {
            "=" => Comparison::Equal,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        Some((comparison, number.as_f64()?))
    };
    operands.chunks(2).map(comparison).collect()
}

impl Rule {
    /// Rules look at leaves alone: of a list at each of its values, of an object at none.
    fn matches(&self, value: Option<&Value>) -> bool {
        let leaves: Vec<&Value> = match value {
            None | Some(Value::Object(_)) => Vec::new(),
            Some(Value::Array(values)) => {
                values.iter().filter(|value| !value.is_array() && !value.is_object()).collect()
            }
            Some(value) => vec![value],
        };
        match self {
            Self::Exists(wanted) => leaves.is_empty() != *wanted,
            _ => leaves.into_iter().any(|leaf| self.matches_leaf(leaf)),
        }
    }

    fn matches_leaf(&self, leaf: &Value) -> bool {
        let text = |test: &dyn Fn(&str) -> bool| leaf.as_str().is_some_and(test);
        match self {
            Self::Equals(value) => same(leaf, value),
            Self::EqualsIgnoreCase(value) => text(&|leaf| leaf.to_lowercase() == value.to_lowercase()),
            Self::Prefix(prefix) => text(&|leaf| leaf.starts_with(prefix)),
            Self::Suffix(suffix) => text(&|leaf| leaf.ends_with(suffix)),
            Self::AnythingBut(values) => !values.iter().any(|value| same(leaf, value)),
            Self::Exists(wanted) => *wanted,
            // DynamoDB's numbers are strings in a stream's records, so this never matches one of them: neither does it on Lambda.
            Self::Numeric(comparisons) => leaf.as_f64().is_some_and(|number| {
                comparisons.iter().all(|(comparison, bound)| match comparison {
                    Comparison::Equal => number == *bound,
                    Comparison::Less => number < *bound,
                    Comparison::LessOrEqual => number <= *bound,
                    Comparison::Greater => number > *bound,
                    Comparison::GreaterOrEqual => number >= *bound,
                })
            }),
        }
    }
}

/// Numbers are the same whatever they are written like: 300 and 3.0e2.
fn same(one: &Value, other: &Value) -> bool {
    one == other || one.as_f64().is_some_and(|number| Some(number) == other.as_f64())
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
            (json!([300]), vec![json!(300), json!(3.0e2)], vec![json!("300"), json!(301)]),
            (json!([true]), vec![json!(true)], vec![json!(false), json!("true")]),
            (json!([null]), vec![json!(null)], vec![json!(""), json!(0)]),
            (json!([""]), vec![json!("")], vec![json!(null), json!(" ")]),
            (json!([{"prefix": "ab"}]), vec![json!("ab"), json!("abc")], vec![json!("Ab"), json!("a"), json!(1)]),
            (json!([{"suffix": "bc"}]), vec![json!("bc"), json!("abc")], vec![json!("bcd"), json!("c")]),
            (json!([{"equals-ignore-case": "Abc"}]), vec![json!("aBC")], vec![json!("abcd")]),
            (json!([{"anything-but": "a"}]), vec![json!("b"), json!(1)], vec![json!("a")]),
            (json!([{"anything-but": ["a", 1]}]), vec![json!("b"), json!(2)], vec![json!("a"), json!(1)]),
            (json!([{"exists": true}]), vec![json!("a"), json!(null), json!(["a"])], vec![json!({"b": 1}), json!([])]),
            (json!([{"numeric": [">", 1, "<=", 3]}]), vec![json!(2), json!(3)], vec![json!(1), json!(4), json!("2")]),
            (json!([{"numeric": ["=", 3]}]), vec![json!(3), json!(3.0)], vec![json!(4)]),
            (json!([{"prefix": "a"}, "b"]), vec![json!("ax"), json!("b"), json!(["x", "b"])], vec![json!("x")]),
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
    fn what_is_absent_matches_only_where_it_must_not_exist() {
        let event = json!({ "dynamodb": { "Keys": {} } });
        for rule in
            [json!("a"), json!(null), json!({"prefix": ""}), json!({"anything-but": "a"}), json!({"exists": true})]
        {
            assert!(!matches(json!({ "dynamodb": { "Keys": { "event": [rule] } } }), event.clone()), "{rule}");
        }
        assert!(matches(json!({ "dynamodb": { "Keys": { "event": [{"exists": false}] } } }), event.clone()));
        assert!(matches(
            json!({ "dynamodb": { "NewImage": { "kind": { "S": [{"exists": false}] } } } }),
            event.clone()
        ));
        assert!(matches(json!({}), event));
    }

    #[test]
    fn every_field_must_match_and_one_of_the_alternatives() {
        let pattern = json!({ "a": [1], "$or": [{ "b": [2] }, { "c": { "d": [3] } }] });
        assert!(matches(pattern.clone(), json!({ "a": 1, "b": 2 })));
        assert!(matches(pattern.clone(), json!({ "a": 1, "c": { "d": 3 } })));
        assert!(!matches(pattern.clone(), json!({ "a": 1 })));
        assert!(!matches(pattern, json!({ "b": 2 })));
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_never_a_match() {
        for wrong in [
            json!([]),
            json!("a"),
            json!({ "a": "b" }),
            json!({ "a": [] }),
            json!({ "$or": [] }),
            json!({ "a": [{"wildcard": "x*"}] }),
            json!({ "a": [{"prefix": 1}] }),
            json!({ "a": [{"prefix": "a", "suffix": "b"}] }),
            json!({ "a": [{"numeric": [">"]}] }),
            json!({ "a": [{"numeric": ["!", 1]}] }),
            json!({ "a": [{"anything-but": {"prefix": "a"}}] }),
            json!({ "a": [["b"]] }),
            json!({ "a": { "b": [{}] } }),
        ] {
            assert!(Pattern::from_value(&wrong).is_err(), "{wrong}");
        }
        assert!(Pattern::parse("{").is_err());
    }
}
