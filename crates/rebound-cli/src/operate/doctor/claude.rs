//! Claude: is the key valid, and does the model that `engage` uses exist?

use std::time::Duration;

use rebound::claude::{VERSION, error_kind};
use rebound::config::{DEFAULT_BASE_URL, DEFAULT_MODEL};
use reqwest::StatusCode;

use super::Check;
use crate::operate::clients;
use crate::operate::connect::secret;
use crate::operate::target::Target;

const KEY: &str = "Claude's key";
const MODEL: &str = "Claude's model";

const TIMEOUT: Duration = Duration::from_secs(15);

/// Retrieves the model, which costs nothing (<https://platform.claude.com/docs/en/api/models/retrieve>).
pub(super) async fn check(target: &Target) -> Vec<Check> {
    let rules = "no key is stored: the built-in rules decide, and never propose an email";
    let model = model(target).await;
    let key = match target.variable("ANTHROPIC_API_KEY") {
        Some(key) => key,
        None => {
            let arn = match target.lookup("API_KEYS_ARN").await {
                Ok(arn) => arn,
                Err(error) => return vec![Check::not_checked(KEY, error.to_string())],
            };
            match secret::field(target, &arn, "ANTHROPIC_API_KEY").await {
                Ok(Some(key)) => key,
                Ok(None) => return vec![Check::ok(KEY, rules)],
                Err(error) => return vec![Check::not_checked(KEY, error.to_string())],
            }
        }
    };
    let base = target.variable("ANTHROPIC_BASE_URL").unwrap_or_else(|| DEFAULT_BASE_URL.to_owned());
    let url = format!("{}/v1/models/{model}", base.trim_end_matches('/'));
    let request = rebound::web::client().get(url).timeout(TIMEOUT);
    let asked = request.header("anthropic-version", VERSION).header("x-api-key", key.trim()).send().await;
    let Ok(answer) = asked else {
        return vec![Check::not_checked(KEY, "Claude's API can't be reached from this machine")];
    };
    let status = answer.status();
    let kind = answer.bytes().await.ok().and_then(|body| error_kind(&body));
    match (status, kind.as_deref()) {
        (StatusCode::OK, None) => {
            vec![Check::ok(KEY, "the key is valid"), Check::ok(MODEL, format!("{model} is available"))]
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            let to_do = "create a key in Claude's console, and store it in the secret that ApiKeysArn names; until then the built-in rules decide";
            vec![Check::fault(KEY, format!("Claude's API refuses the key ({})", status.as_u16()), to_do)]
        }
        (StatusCode::NOT_FOUND, Some("not_found_error")) => {
            let found = format!("the model {model} does not exist, so the built-in rules decide everything");
            let to_do = "set the stack's parameter AnthropicModel to a model that Claude's console lists";
            vec![Check::ok(KEY, "the key is valid"), Check::fault(MODEL, found, to_do)]
        }
        (StatusCode::NOT_FOUND, _) => {
            let to_do =
                "check that ANTHROPIC_BASE_URL is the address of Claude's API; until then the built-in rules decide";
            vec![Check::fault(MODEL, format!("{base} does not know the path of the model (404)"), to_do)]
        }
        (status, _) => {
            let found = format!("Claude's API returned HTTP {}", status.as_u16());
            vec![Check::warning(KEY, found, "run the check again later; until then the built-in rules decide")]
        }
    }
}

/// The model that `engage` uses: from the environment, or else from the deployed function's configuration, or else the default.
async fn model(target: &Target) -> String {
    const VARIABLE: &str = "ANTHROPIC_MODEL";
    if let Some(model) = target.variable(VARIABLE) {
        return model.trim().to_owned();
    }
    let Ok(function) = target.lookup("ENGAGE_FUNCTION").await else { return DEFAULT_MODEL.to_owned() };
    let asked = clients::lambda(target.aws()).get_function_configuration().function_name(function).send().await;
    let set = asked.ok().and_then(|found| found.environment?.variables?.remove(VARIABLE));
    set.filter(|model| !model.trim().is_empty()).unwrap_or_else(|| DEFAULT_MODEL.to_owned())
}
