//! Which Rebound a command is about: the options that all such commands have.

use std::path::PathBuf;

use rebound_cli::operate::place::{Options, Place, STACK};
use rebound_dev::LOCAL_FILE;
use rebound_dev::commands::Failure;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Which Rebound")]
pub(crate) struct PlaceArguments {
    /// The name of the stack
    #[arg(long, value_name = "NAME", env = "REBOUND_STACK", default_value = STACK)]
    stack: String,
    /// The one that `rebound dev` runs on this machine; after an equals sign, the file that it writes, if it is another
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = LOCAL_FILE)]
    local: Option<PathBuf>,
    /// The AWS profile to take credentials from
    #[arg(long, value_name = "NAME", conflicts_with = "local")]
    profile: Option<String>,
    /// The AWS region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
}

impl PlaceArguments {
    /// Finds it.
    pub(crate) async fn find(&self) -> Result<Place, Failure> {
        let options = Options {
            stack: self.stack.clone(),
            local: self.local.clone(),
            profile: self.profile.clone(),
            region: self.region.clone(),
        };
        Ok(Place::find(&options, std::env::vars()).await?)
    }

    /// Finds the one whose function URL this is: that of `rebound dev` without being told, if it is running in this folder.
    pub(crate) async fn find_of(&self, url: &str) -> Result<Place, Failure> {
        let is_told = self.local.is_some() || self.profile.is_some();
        let line = format!("REBOUND_FUNCTION_URL={}", url.trim_end_matches('/'));
        let is_its = |text: String| text.lines().any(|known| known.trim_end_matches('/') == line);
        if !is_told && std::fs::read_to_string(LOCAL_FILE).is_ok_and(is_its) {
            return Self { local: Some(LOCAL_FILE.into()), ..self.clone() }.find().await;
        }
        self.find().await
    }
}
