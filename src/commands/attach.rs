//! `sessions`, `attach` and `stop`: sessions that run elsewhere.
use std::{
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use serde_json::{Value, json};

use crate::{
    attach::{FarSession, Target},
    cli::{AttachArgs, SessionsArgs, StopArgs},
    exit::{Exit, Failure},
    logging,
    remote::Token,
    sessions,
    signals::Signals,
    tui::{self, Outcome},
};

/// Time that a session has to drain and to finish its recording.
const STOP_PATIENCE: Duration = Duration::from_secs(40);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// `sessions`
pub(super) fn list(args: &SessionsArgs) -> Result<Exit, Failure> {
    let known = |name: &str, socket: &Path| -> anyhow::Result<Value> {
        let (session, telemetry) = (sessions::ask(socket, "/api/session")?, sessions::ask(socket, "/api/telemetry")?);
        Ok(json!({
            "name": name, "pid": session["pid"], "pipeline": telemetry["name"], "state": telemetry["pipeline"],
            "recording": telemetry["recording"], "uptime_s": telemetry["uptime_s"],
            "lost_samples": telemetry["lost_samples"], "file": telemetry["recorder"]["path"],
        }))
    };
    let alive = sessions::alive()?;
    let entries = alive.iter().map(|(name, socket)| {
        known(name, socket).unwrap_or_else(|error| json!({ "name": name, "error": format!("{error:#}") }))
    });
    let entries: Vec<Value> = entries.collect();
    if args.json {
        super::print_json(&entries)?;
    } else if entries.is_empty() {
        super::print("no session runs\n")?;
    } else {
        super::print(&entries.iter().map(described).collect::<String>())?;
    }
    Ok(Exit::Ok)
}

fn described(entry: &Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    if entry["error"].is_string() {
        return format!("{:<24}  {}\n", text("name"), text("error"));
    }
    let (pid, up) = (entry["pid"].to_string(), entry["uptime_s"].as_f64().unwrap_or(0.0));
    let (name, state, recording, file) = (text("name"), text("state"), text("recording"), text("file"));
    let line = format!(
        "{name:<24}  pid {pid:<8} up {up:>9.1} s  {state}, {recording}, drop {}  {file}",
        entry["lost_samples"]
    );
    format!("{}\n", line.trim_end())
}

/// `attach`
pub(super) fn attach(args: &AttachArgs) -> Result<Exit, Failure> {
    let target = match args.session.as_deref() {
        Some(address) if address.contains("://") => {
            let token = Token::given(args.token_file.as_deref()).map_err(Failure::usage)?;
            Target::address(address, token.map(|token| token.as_str().to_owned())).map_err(Failure::usage)?
        }
        name => sessions::find(name).map_err(Failure::usage)?,
    };
    super::run::require_terminal()?;
    let _log = logging::start(args.log.as_deref()).ok();
    let signals = Signals::watch().context("signals cannot be watched")?;
    let name = target.to_string();
    let session = FarSession::connect(target)?;
    let outcome = tui::run(Arc::new(session), &super::run::screen_options(&args.screen, None), &signals)?;
    if outcome != Outcome::HungUp {
        super::print(&format!("Left {name}; it goes on. `wavedeck stop NAME` ends a session of this machine.\n"))?;
    }
    Ok(Exit::Ok)
}

/// `stop`
pub(super) fn stop(args: &StopArgs) -> Result<Exit, Failure> {
    let target = sessions::find(Some(&args.name)).map_err(Failure::usage)?;
    let session = FarSession::connect(target)?;
    let pid = session.call("session.get", Value::Null).map_err(|error| anyhow!(error))?["pid"].as_i64();
    session.call("pipeline.stop", Value::Null).map_err(|error| anyhow!(error))?;
    drop(session);
    // Its socket goes first, the process when everything is on the disk.
    let begin = Instant::now();
    while sessions::alive()?.contains_key(&args.name) || pid.is_some_and(is_running) {
        if begin.elapsed() > STOP_PATIENCE {
            let text =
                format!("`{}` has not ended within {} s; it may still be writing", args.name, STOP_PATIENCE.as_secs());
            return Err(anyhow!(text).into());
        }
        thread::sleep(LOOK);
    }
    super::print(&format!("{} has ended\n", args.name))?;
    Ok(Exit::Ok)
}

fn is_running(pid: i64) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    // One that has ended and that nobody has asked about yet can still be signalled.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let has_ended = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
    !has_ended && rustix::process::test_kill_process(pid).is_ok()
}
