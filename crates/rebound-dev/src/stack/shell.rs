//! The variables that the embedded AWS takes from the shell.

use std::collections::BTreeMap;

/// The default region of local runs.
const REGION: &str = "eu-west-1";

/// The variables that are passed from the shell to the functions unchanged.
pub(super) const PASSED_THROUGH: [&str; 23] = [
    "RESEND_WEBHOOK_SECRET",
    "RETENTION_DAYS",
    "WEBHOOK_SECRET_ARN",
    "CAMPAIGN_TAG",
    "POLICY",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_MODEL",
    "ANTHROPIC_BASE_URL",
    "FOLLOWUPS",
    "FOLLOWUPS_PER_DAY",
    "FOLLOWUP_RECIPIENTS",
    "FOLLOWUP_REPLY_TO",
    "FOLLOWUP_CAMPAIGNS",
    "FOLLOWUP_TIMEZONE",
    "DECISION_GUIDE",
    "CLAUDE_CONCURRENCY",
    "CLAUDE_DAILY_BUDGET_USD",
    "CONSENT_URL",
    "CONSENT_KEY",
    "CONSENT_KEYS_ARN",
    "SENDER_NAME",
    "SENDER_ADDRESS",
    "RESEND_RATE",
];

/// The region and the credentials of every client, the commands' and the functions': some engines have separate tables for each region
/// or account.
///
/// The shell's credentials are used only for endpoints that the shell names. The stubs check no credentials, and get dummy ones.
pub(super) fn identity(variable: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).unwrap_or_else(|| REGION.to_owned());
    // The AWS SDK for Python reads only the second name.
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
