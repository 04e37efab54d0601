//! Claude: is the key good, and is there the model that `engage` asks?

use std::time::Duration;

use rebound::claude::{VERSION, error_kind};
use rebound::config::{DEFAULT_BASE_URL, DEFAULT_MODEL};
use reqwest::StatusCode;

use super::Check;
use crate::operate::clients;
use crate::operate::connect::secret;
use crate::operate::place::Place;

const KEY: &str = "Claude's key";
const MODEL: &str = "Claude's model";

const TIMEOUT: Duration = Duration::from_secs(15);

/// Asks for the model, which costs nothing (<https://platform.claude.com/docs/en/api/models/retrieve>).
pub(super) async fn check(place: &Place) -> Vec<Check> {
    let rules = "there is none: the written rules decide, and never propose a mail";
    let model = model(place).await;
    let key = match place.variable("ANTHROPIC_API_KEY") {
        Some(key) => key,
        None => {
            let arn = match place.named("API_KEYS_ARN").await {
                Ok(arn) => arn,
                Err(error) => return vec![Check::not_checked(KEY, error.to_string())],
            };
            match secret::field(place, &arn, "ANTHROPIC_API_KEY").await {
                Ok(Some(key)) => key,
                Ok(None) => return vec![Check::ok(KEY, rules)],
                Err(error) => return vec![Check::not_checked(KEY, error.to_string())],
            }
        }
    };
    let base = place.variable("ANTHROPIC_BASE_URL").unwrap_or_else(|| DEFAULT_BASE_URL.to_owned());
    let url = format!("{}/v1/models/{model}", base.trim_end_matches('/'));
    let request = rebound::claude::web::client().get(url).timeout(TIMEOUT);
    let asked = request.header("anthropic-version", VERSION).header("x-api-key", key.trim()).send().await;
    let Ok(answer) = asked else {
        return vec![Check::not_checked(KEY, "Claude can't be reached from here")];
    };
    let status = answer.status();
    let kind = answer.bytes().await.ok().and_then(|body| error_kind(&body));
    match (status, kind.as_deref()) {
        (StatusCode::OK, None) => {
            vec![Check::ok(KEY, "it is good"), Check::ok(MODEL, format!("{model} is there"))]
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            let to_do = "make one in Claude's console, and put it into the secret that ApiKeysArn names; the written rules decide meanwhile";
            vec![Check::fault(KEY, format!("it is refused ({})", status.as_u16()), to_do)]
        }
        (StatusCode::NOT_FOUND, Some("not_found_error")) => {
            let found = format!("there is no model {model}, so the written rules decide everything");
            let to_do = "name one that there is, in the stack's parameter AnthropicModel: Claude's console lists them";
            vec![Check::ok(KEY, "it is good"), Check::fault(MODEL, found, to_do)]
        }
        (StatusCode::NOT_FOUND, _) => {
            let to_do = "is ANTHROPIC_BASE_URL the address of Claude's API? The written rules decide meanwhile";
            vec![Check::fault(MODEL, format!("{base} does not know it (404)"), to_do)]
        }
        (status, _) => {
            let found = format!("Claude answers {}", status.as_u16());
            vec![Check::warning(KEY, found, "look again later; the written rules decide meanwhile")]
        }
    }
}

/// The model that `engage` asks: as the environment says, else as the deployed function is set, as far as that may be read.
async fn model(place: &Place) -> String {
    const VARIABLE: &str = "ANTHROPIC_MODEL";
    if let Some(model) = place.variable(VARIABLE) {
        return model.trim().to_owned();
    }
    let Ok(function) = place.named("ENGAGE_FUNCTION").await else { return DEFAULT_MODEL.to_owned() };
    let asked = clients::lambda(place.aws()).get_function_configuration().function_name(function).send().await;
    let set = asked.ok().and_then(|found| found.environment?.variables?.remove(VARIABLE));
    set.filter(|model| !model.trim().is_empty()).unwrap_or_else(|| DEFAULT_MODEL.to_owned())
}
