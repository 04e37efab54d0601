//! The variables that the embedded AWS takes from the shell.

use std::collections::BTreeMap;

/// The region of local runs, unless the shell names another.
const REGION: &str = "eu-west-1";

/// The variables that are handed on to the functions as the shell has them.
pub(super) const PASSED_THROUGH: [&str; 14] = [
    "RESEND_WEBHOOK_SECRET",
    "RETENTION_DAYS",
    "WEBHOOK_SECRET_ARN",
    "CAMPAIGN_TAG",
    "POLICY",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_MODEL",
    "ANTHROPIC_BASE_URL",
    "FOLLOWUPS",
    "FOLLOWUP_CAMPAIGNS",
    "FOLLOWUP_TIMEZONE",
    "DECISION_GUIDE",
    "CLAUDE_CONCURRENCY",
    "CLAUDE_DAILY_BUDGET_USD",
];

/// The region and the credentials of every client, ours and the functions': an engine that knows regions, or accounts, keeps the tables
/// of each apart.
///
/// The credentials of the shell are for endpoints that the shell names. Stand-ins check no credentials, and get none.
pub(super) fn identity(variable: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).unwrap_or_else(|| REGION.to_owned());
    // Of Amazon's SDKs, that for Python reads the second name only.
    let mut variables =
        BTreeMap::from(["AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| (name.to_owned(), region.clone())));
    let services = ["DYNAMODB", "SECRETS_MANAGER", "SNS", "SQS"];
    let is_named = services.iter().any(|service| variable(&format!("AWS_ENDPOINT_URL_{service}")).is_some());
    let credential = |name: &str| variable(name).filter(|_| is_named);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        variables.insert(name.to_owned(), credential(name).unwrap_or_else(|| "local".to_owned()));
    }
    variables.extend(credential("AWS_SESSION_TOKEN").map(|value| ("AWS_SESSION_TOKEN".to_owned(), value)));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_has_both_names_that_amazons_sdks_read() {
        for shell in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            let variables = identity(|name| (name == shell).then(|| "us-east-2".to_owned()));
            for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
                assert_eq!(variables[name], "us-east-2", "{name}, from {shell}");
            }
        }
        assert_eq!(identity(|_| None)["AWS_DEFAULT_REGION"], REGION);
    }
}
