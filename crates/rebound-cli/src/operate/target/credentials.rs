//! The region and the credentials of a target.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials;

use super::{TargetArguments, TargetError, is_local, profiles};

/// The region of local runs, which have none.
pub(super) const LOCAL_REGION: &str = "eu-west-1";

/// Adds region and credentials, if they are missing: for AWS, as the `aws` command finds them; for stubs on this machine, which check
/// none, fixed ones.
pub(super) async fn add(
    variables: &mut BTreeMap<String, String>,
    arguments: &TargetArguments,
) -> Result<(), TargetError> {
    if variables.contains_key("AWS_ACCESS_KEY_ID") && arguments.profile.is_none() {
        let region = variables.get("AWS_REGION").or_else(|| variables.get("AWS_DEFAULT_REGION"));
        if region.is_some() {
            return Ok(());
        }
    }
    let has_region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(|name| variables.contains_key(*name));
    let endpoint = variables.get("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| variables.get("AWS_ENDPOINT_URL"));
    let elsewhere = |(name, url): (&String, &String)| name.starts_with("AWS_ENDPOINT_URL") && !is_local(url);
    if endpoint.is_some_and(|url| is_local(url)) && !variables.iter().any(elsewhere) {
        let mut default = |name: &str, value: &str| _ = variables.entry(name.to_owned()).or_insert(value.to_owned());
        if !has_region {
            default("AWS_REGION", LOCAL_REGION);
        }
        default("AWS_ACCESS_KEY_ID", "local");
        default("AWS_SECRET_ACCESS_KEY", "local");
        return Ok(());
    }
    let named = arguments.profile.as_ref().or_else(|| variables.get("AWS_PROFILE"));
    if let Some(profile) = named {
        check_profile(profile, &profiles::known(variables))?;
    }
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(rebound::aws::any_https());
    if let Some(profile) = &arguments.profile {
        loader = loader.profile_name(profile);
    }
    let found = loader.load().await;
    if !variables.contains_key("AWS_REGION") {
        let region = found.region().ok_or(TargetError::NoRegion)?.to_string();
        variables.insert("AWS_REGION".to_owned(), region);
    }
    let provider = found.credentials_provider().ok_or_else(|| TargetError::NoCredentials("none found".to_owned()))?;
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        TargetError::NoCredentials(format!("{error}{cause}"))
    })?;
    let mut set = |name: &str, value: &str| variables.insert(name.to_owned(), value.to_owned());
    set("AWS_ACCESS_KEY_ID", credentials.access_key_id());
    set("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key());
    match credentials.session_token() {
        Some(token) => _ = set("AWS_SESSION_TOKEN", token),
        None => _ = variables.remove("AWS_SESSION_TOKEN"),
    }
    Ok(())
}

/// Refuses a profile that is not configured.
fn check_profile(profile: &str, known: &BTreeSet<String>) -> Result<(), TargetError> {
    if known.contains(profile) {
        return Ok(());
    }
    let known = match known.len() {
        0 => "no profile is configured".to_owned(),
        _ => format!("the profiles are {}", known.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
    };
    Err(TargetError::NoProfile { profile: profile.to_owned(), known })
}
