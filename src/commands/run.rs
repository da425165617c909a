//! `run` and `replay`: a session on the screen or without one.
use std::{
    io::{IsTerminal, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use wavedeck_api::stage::Level;
use wavedeck_plane::PipelineConfig;

use crate::{
    cli::{BackgroundArg, ColorArg, GlyphsArg, ReplayArgs, RunArgs, RunOptions, ScreenArgs},
    config_file,
    exit::{Exit, Failure},
    headless::{self, HeadlessOptions, Status},
    library::{self, ReplayOptions},
    logging,
    plain::{self, PlainOptions},
    service::Service,
    session::{FromStart, Session},
    sessions,
    signals::Signals,
    summary::{EndedBy, Summary},
    tui::{self, Colour, Glyphs, Outcome, ScreenOptions},
};

/// Time that everything in flight has to be processed at the end.
const PATIENCE: Duration = Duration::from_secs(20);
/// The demo, for when its file is not at hand.
const DEMO: &str = include_str!("../../configs/demo.json");
/// Where it is in a checkout.
const DEMO_PATH: &str = "configs/demo.json";

/// Runs the demo.
pub(super) fn demo(options: &RunOptions) -> Result<Exit, Failure> {
    let config = if Path::new(DEMO_PATH).exists() {
        config_file::read_config(Path::new(DEMO_PATH), &options.set)?
    } else {
        config_file::configured(PipelineConfig::from_json(DEMO).map_err(Failure::usage)?, &options.set)?
    };
    start(config, Path::new(DEMO_PATH), options, Purpose::Live)
}

/// `run`
pub(super) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let config = config_file::read_config(&args.config, &args.options.set)?;
    start(config, &args.config, &args.options, Purpose::Live)
}

/// `replay`
pub(super) fn replay(args: &ReplayArgs) -> Result<Exit, Failure> {
    let registry = crate::registry().map_err(Failure::usage)?;
    let pipeline = args.config.as_ref().map(|path| config_file::read_config(path, &[])).transpose()?;
    let seconds = |time: Option<Duration>| time.map_or(0.0, |time| time.as_secs_f64());
    let at_end = match (args.repeat, args.options.headless || args.options.plain) {
        (true, _) => "loop",
        (false, true) => "stop",
        (false, false) => "stay",
    };
    let options = ReplayOptions {
        speed: args.speed,
        from_s: seconds(args.from),
        to_s: seconds(args.to),
        at_end,
        is_view_only: args.view_only,
        is_hashed: args.hash,
    };
    let config = library::replay_config(&args.recording, pipeline, &registry, &options).map_err(Failure::usage)?;
    start(config_file::configured(config, &args.options.set)?, &args.recording, &args.options, Purpose::Replay)
}

/// What a session is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To show and record; what an earlier run left unclosed is repaired beside it.
    Live,
    /// To look at a recording, which must not change meanwhile.
    Replay,
}

/// Opens a session of a pipeline that comes from `file`, and stays with it to its end.
fn start(config: PipelineConfig, file: &Path, options: &RunOptions, purpose: Purpose) -> Result<Exit, Failure> {
    if !options.headless && !options.plain && !has_terminal() {
        let what_to_do = "add --headless to run without one, or --plain for lines of text";
        return Err(Failure::usage(anyhow!("there is no terminal to draw on: {what_to_do}")));
    }
    // A run without a log is better than none.
    let _log = match logging::start(options.log.as_deref()) {
        Ok(guard) => Some(guard),
        Err(error) if options.log.is_some() => return Err(Failure::usage(error)),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "wavedeck: no log is written: {error:#}");
            None
        }
    };
    let signals = Signals::watch().context("signals cannot be watched")?;
    let name = config.name.clone();
    let registry = crate::registry().map_err(Failure::usage)?;
    let deadline = options.duration.map(|duration| Instant::now() + duration);
    let from_start = match options.record {
        true => FromStart::Recording { name: options.name.clone() },
        false => FromStart::Nothing,
    };
    let configured = config.listen.clone();
    // Whoever replays a recording need not have what it was made with.
    let listen = if purpose == Purpose::Live { &*configured } else { &[] };
    // Before anything is recorded: an address in use is a mistake of usage.
    let mut bound = options.remote.bind(listen, &signals).map_err(Failure::usage)?;
    // A session that cannot be reached from elsewhere is better than none.
    let unpublished = sessions::publish(&mut bound, options.session.as_deref().unwrap_or(&name)).err();
    let session = Session::open(config, registry, from_start).map_err(|error| error.in_file(file))?;
    if purpose == Purpose::Live {
        session.repair_recordings();
    }
    let port = bound.serve(&session)?;
    if let Some(error) = unpublished {
        session.note(Level::Warn, "session", format!("`wavedeck attach` does not find this session: {error:#}"));
    }
    let is_attached = || port.clients() > 0;
    let mut service = Service::find();
    service.ready();
    let ended_by = if options.headless {
        let status = if options.json { Status::Json } else { Status::Text };
        let every = options.status_every.unwrap_or(headless::EVERY);
        headless::wait(
            &session,
            HeadlessOptions { deadline, status, every, is_attached: &is_attached },
            &signals,
            &mut service,
        )
    } else if options.plain {
        let every = options.plain_every.unwrap_or(Duration::from_secs(1));
        plain::wait(&session, &PlainOptions { every, ascii: options.screen.ascii, deadline }, &signals)
    } else {
        on_screen(&session, deadline, options, &signals, &mut service, &is_attached)?
    };
    service.stopping(PATIENCE * 2);
    drop(port);
    let closing = session.close(PATIENCE);
    let summary = Summary::of(&name, &closing, ended_by);
    tracing::info!(produced = summary.produced, recorded = summary.recorded, dropped = summary.dropped, "closed");
    if ended_by != EndedBy::HangUp && !signals.has_hung_up() {
        let text = if options.json { serde_json::to_string(&summary).context("JSON")? } else { summary.to_string() };
        super::print(&format!("{text}\n"))?;
    }
    Ok(summary.exit())
}

fn has_terminal() -> bool {
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
}

/// For what makes no sense without a screen.
pub(super) fn require_terminal() -> Result<(), Failure> {
    if has_terminal() { Ok(()) } else { Err(Failure::usage(anyhow!("there is no terminal to draw on"))) }
}

/// How a screen is shown, as the command line says.
pub(super) fn screen_options(options: &ScreenArgs, deadline: Option<Instant>) -> ScreenOptions {
    let colour = options.color.map(|colour| match colour {
        ColorArg::None => Colour::None,
        ColorArg::Ansi => Colour::Ansi16,
        ColorArg::Indexed => Colour::Indexed256,
        ColorArg::True => Colour::True,
    });
    let glyphs = options.glyphs.map(|glyphs| match glyphs {
        GlyphsArg::Braille => Glyphs::Braille,
        GlyphsArg::Block => Glyphs::Block,
        GlyphsArg::Ascii => Glyphs::Ascii,
    });
    let glyphs = glyphs.or(options.ascii.then_some(Glyphs::Ascii));
    let is_light = options.background.map(|background| background == BackgroundArg::Light);
    ScreenOptions { glyphs, colour, is_light, has_mouse: !options.no_mouse, fps: options.fps, deadline }
}

/// Shows the session until it is quit. When the terminal vanishes, a recording goes on without one.
fn on_screen(
    session: &Session,
    deadline: Option<Instant>,
    options: &RunOptions,
    signals: &Signals,
    service: &mut Service,
    is_attached: &dyn Fn() -> bool,
) -> Result<EndedBy, Failure> {
    let headless = |status| HeadlessOptions { deadline, status, every: headless::EVERY, is_attached };
    let screen = screen_options(&options.screen, deadline);
    Ok(match tui::run(Arc::new(session.clone()), &screen, signals)? {
        Outcome::Quit => EndedBy::Request,
        Outcome::TimeIsUp => EndedBy::Duration,
        Outcome::Terminated => EndedBy::Request,
        Outcome::Detached => {
            super::print("The recording goes on without a screen; Ctrl-C finishes it.\n")?;
            headless::wait(session, headless(Status::Text), signals, service)
        }
        Outcome::HungUp => headless::wait(session, headless(Status::Silent), &signals.after_hang_up(), service),
    })
}
