//! Where Resend's key of full access is taken from.

use serde_json::json;

use super::{KEY, World};
use crate::operate::command;

#[tokio::test]
async fn resends_key_is_taken_from_the_secret_that_no_function_reads() {
    let world = World::start().await;
    let secrets = world.aws.secrets_manager.as_ref().unwrap();
    let mut variables = world.variables();
    variables.remove("RESEND_API_KEY");
    let put = |variable: &str, key: &str| {
        secrets.put(&world.aws.variable(variable).unwrap(), &json!({ "RESEND_API_KEY": key }).to_string());
    };
    // Where engage reads Claude's key, Resend's is not looked for.
    put("API_KEYS_ARN", KEY);
    let said = command(&variables, &["connect"], "").await;
    assert!(said.code == 2 && said.stderr.contains("OperatorKeysArn"), "{}", said.stderr);
    let doctor = command(&variables, &["doctor", "--json"], "").await.stdout;
    assert!(doctor.contains("OperatorKeysArn"), "{doctor}");
    put("OPERATOR_KEYS_ARN", KEY);
    let said = command(&variables, &["connect", "--json"], "").await;
    assert_eq!((said.code, &said.json()["connected"]["done"]), (0, &json!("created")), "{}", said.stderr);
    let said = command(&variables, &["suppressions", "import", "--from-resend"], "").await;
    assert_eq!(said.code, 0, "{}", said.stderr);
}
