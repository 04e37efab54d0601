//! `rebound dev` as a process that is killed and restarted.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rebound_dev::FAULTS_URL;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::{BoxError, RESEND_KEY};

/// Follow-ups are sent, at every time of the day, and without limits.
const FOLLOWUPS: [(&str, &str); 4] = [
    ("FOLLOWUPS", "send"),
    ("FOLLOWUPS_PER_DAY", "100000000"),
    ("CLAUDE_DAILY_BUDGET_USD", "100000"),
    ("POLICY", r#"{"followups": {"quiet_from": 0, "quiet_until": 0}}"#),
];

/// Number of log lines that an error repeats.
const LINES_OF_LOG: usize = 3;

/// Timeout of a start. It first recovers the file of the killed process.
const START_TIMEOUT: Duration = Duration::from_secs(120);

const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Start options.
pub(crate) struct Setting {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) faults: f64,
    pub(crate) sns_hangs: f64,
    pub(crate) redeliver: f64,
    pub(crate) settle: f64,
    pub(crate) seed: u64,
    /// The URL of Resend.
    pub(crate) resend: String,
    /// Speed of the clock.
    pub(crate) clock: f64,
    /// Rate of requests to Resend, per second.
    pub(crate) rate: f64,
}

/// The process, with the statistics of its predecessors.
pub(crate) struct ServiceProcess {
    setting: Setting,
    ports: [u16; 2],
    child: Option<Child>,
    http: reqwest::Client,
    /// The id of the running process, to end it when the program ends. 0 if none is running.
    pub(crate) process: Arc<AtomicU32>,
    /// Number of starts.
    pub(crate) lives: u64,
    /// Time at which the last start was complete.
    pub(crate) born: Instant,
    /// Durations of the starts.
    pub(crate) starts: Vec<Duration>,
    calls: u64,
    injected: BTreeMap<String, u64>,
    reported: (u64, BTreeMap<String, u64>),
}

impl ServiceProcess {
    pub(crate) fn new(setting: Setting) -> Result<Self, BoxError> {
        // Both at the same time, so that the ports differ.
        let free = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let [listen, dynamodb] = &free;
        let ports = [listen.local_addr()?.port(), dynamodb.local_addr()?.port()];
        Ok(Self {
            setting,
            ports,
            child: None,
            http: rebound::web::client(),
            lives: 0,
            process: Arc::default(),
            born: Instant::now(),
            starts: Vec::new(),
            calls: 0,
            injected: BTreeMap::new(),
            reported: Default::default(),
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.ports[0])
    }

    pub(crate) fn env_file(&self) -> PathBuf {
        self.setting.folder.join("dev.env")
    }

    fn log(&self) -> Result<File, BoxError> {
        Ok(OpenOptions::new().create(true).append(true).open(self.setting.folder.join("dev.log"))?)
    }

    /// The last lines of its log, which may be gone with its folder.
    fn last_of_log(&self) -> String {
        let log = std::fs::read_to_string(self.setting.folder.join("dev.log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(LINES_OF_LOG).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("; ")
    }

    /// Starts it, and waits until it can be reached.
    pub(crate) async fn start(&mut self) -> Result<(), BoxError> {
        let (began, env_file) = (Instant::now(), self.env_file());
        let _ = std::fs::remove_file(&env_file);
        let [listen, dynamodb] = self.ports.map(|port| format!("127.0.0.1:{port}"));
        let setting = &self.setting;
        let mut command = Command::new(&setting.program);
        // Without the shell's variables, which may name a real account.
        command.env_clear().env("NO_COLOR", "1").envs(FOLLOWUPS).arg("dev").arg("--claude-stub");
        command.env("RESEND_BASE_URL", &setting.resend).env("RESEND_API_KEY", RESEND_KEY);
        command.env("RESEND_RATE", setting.rate.to_string());
        if setting.clock != 1.0 {
            command.args(["--clock", &setting.clock.to_string()]);
        }
        command.args(["--listen", &listen, "--dynamodb", &dynamodb, "--consent", "127.0.0.1:0"]);
        command.arg("--data").arg(setting.folder.join("soak.db"));
        command.arg("--env-file").arg(&env_file);
        command.args(["--faults", &setting.faults.to_string(), "--redeliver", &setting.redeliver.to_string()]);
        command.args(["--sns-hangs", &setting.sns_hangs.to_string()]);
        command.args(["--settle", &setting.settle.to_string()]);
        // Another seed in each life.
        command.args(["--seed", &setting.seed.wrapping_add(self.lives).to_string()]);
        command.stdin(Stdio::null()).stdout(self.log()?).stderr(self.log()?).kill_on_drop(true);
        let mut child = command.spawn()?;
        while !env_file.exists() {
            if let Some(status) = child.try_wait()? {
                return Err(format!("`rebound dev` ended at its start, with {status}: {}", self.last_of_log()).into());
            }
            if began.elapsed() > START_TIMEOUT {
                return Err(format!("`rebound dev` does not start: {}", self.last_of_log()).into());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.process.store(child.id().unwrap_or(0), Ordering::SeqCst);
        self.child = Some(child);
        self.lives += 1;
        self.born = Instant::now();
        self.starts.push(began.elapsed());
        Ok(())
    }

    /// Sets the speed of the clock, and the rate of requests to Resend, from the next start on.
    pub(crate) fn speed_up(&mut self, speed: f64, rate: f64) {
        (self.setting.clock, self.setting.rate) = (speed, rate.min(1_000.0));
    }

    /// Kills it with SIGKILL.
    pub(crate) async fn kill(&mut self) -> Result<(), BoxError> {
        self.ask_for_faults().await;
        self.process.store(0, Ordering::SeqCst);
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        self.bury();
        Ok(())
    }

    /// Returns the exit status if it ended without a kill.
    pub(crate) fn has_died(&mut self) -> Result<Option<String>, BoxError> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait()?.map(|status| status.to_string());
        if status.is_some() {
            self.bury();
        }
        Ok(status)
    }

    fn bury(&mut self) {
        let (calls, injected) = std::mem::take(&mut self.reported);
        self.calls += calls;
        for (kind, number) in injected {
            *self.injected.entry(kind).or_default() += number;
        }
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill().await;
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref()?.id()
    }

    /// Requests the number of faults in this life.
    pub(crate) async fn ask_for_faults(&mut self) {
        if let Some(reported) = self.faults_of_this_life().await {
            self.reported = reported;
        }
    }

    async fn faults_of_this_life(&self) -> Option<(u64, BTreeMap<String, u64>)> {
        let variables = std::fs::read_to_string(self.env_file()).ok()?;
        let url = variables.lines().find_map(|line| line.strip_prefix(FAULTS_URL)?.strip_prefix('='))?;
        let answer = self.http.get(url).timeout(Duration::from_secs(5)).send().await.ok()?.bytes().await.ok()?;
        let counted: Value = serde_json::from_slice(&answer).ok()?;
        let injected = counted.get("injected")?.as_object()?.iter();
        let injected = injected.filter_map(|(kind, number)| Some((kind.clone(), number.as_u64()?))).collect();
        Some((counted.get("calls")?.as_u64()?, injected))
    }

    /// Returns the number of the functions' DynamoDB calls in all lives, and the number of failures by kind.
    pub(crate) fn faults(&self) -> (u64, BTreeMap<String, u64>) {
        let (calls, injected) = &self.reported;
        let mut all = self.injected.clone();
        for (kind, number) in injected {
            *all.entry(kind.clone()).or_default() += number;
        }
        (self.calls + calls, all)
    }

    /// Size of its files, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let files = std::fs::read_dir(&self.setting.folder).into_iter().flatten().flatten();
        let files = files.filter(|file| file.file_name().to_string_lossy().starts_with("soak."));
        files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
    }
}
