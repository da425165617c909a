//! What keys do to the lanes: which channel is chosen, how large it is, and which channels have one.
use wavedeck_api::stage::Level;

use super::{
    action::Action,
    app::{App, Layer},
    form::Way,
    lanes::{Middle, TIME_BASES},
    line_edit::LineEdit,
    scale,
};
use crate::snapshot::Snapshot;

/// Does an action about how the waves are drawn.
pub(super) fn waves(app: &mut App, snapshot: &Snapshot, action: &Action) {
    let describe = |app: &App, scale: f64| {
        let spec = app.output(snapshot).and_then(|output| output.spec.channels.get(app.lanes.chosen));
        let (name, unit) = spec.map_or(("", ""), |spec| (spec.name.as_str(), spec.unit.as_str()));
        format!("{name}: {} per lane", scale::scale(scale, unit, app.is_plain))
    };
    match action {
        Action::Freeze => {
            if app.is_frozen {
                app.thaw();
            } else {
                app.is_frozen = true;
            }
            app.say(
                Level::Info,
                if app.is_frozen { "the view stands still; nothing else does" } else { "the view moves again" },
            );
        }
        // Alone, a channel gives way to the next of all.
        Action::Channel(way) if app.lanes.order.is_solo() => {
            app.lanes.chosen = way.moved(app.lanes.chosen, 1, app.lanes.all.len());
        }
        Action::Channel(way) => choose(app, *way, 1),
        Action::ChannelPage(way) => choose(app, *way, app.lanes_per_page()),
        Action::Scale(rung) => {
            if let Some(scale) = app.lanes.change_scale(*rung) {
                let text = describe(app, scale);
                app.say(Level::Info, text);
            }
        }
        Action::ShareScale => {
            let Some(output) = app.output(snapshot) else { return };
            let specs = output.spec.channels.clone();
            let chosen = app.lanes.chosen;
            let unit = |channel: usize| specs.get(channel).map(|spec| &spec.unit);
            if let Some(scale) = app.lanes.share_scale(|channel| unit(channel) == unit(chosen)) {
                let unit = unit(chosen).map_or("", String::as_str);
                let text = format!("every channel in {unit}: {} per lane", scale::scale(scale, unit, app.is_plain));
                app.say(Level::Info, text);
            }
        }
        Action::FitScales => app.lanes.want_fit(),
        Action::ToggleMiddle => {
            let text = match app.lanes.toggle_middle() {
                Middle::Zero => "lanes are centred on zero",
                Middle::Recent => {
                    "each lane is centred on what its channel did lately: the value with a ~ is its middle"
                }
            };
            app.say(Level::Info, text);
        }
        Action::TimeBase(way) => {
            app.lanes.time_base = way.moved(app.lanes.time_base, 1, TIME_BASES.len());
            app.say(Level::Info, format!("{} s per screen", app.lanes.seconds()));
        }
        Action::NextOutput => {
            if let Some(name) = app.watch_next(snapshot) {
                app.thaw();
                app.say(Level::Info, format!("looking at {name}"));
            }
        }
        _ => {}
    }
}

/// Chooses the channel so many lanes away; a page goes to the first lane of the page.
fn choose(app: &mut App, way: Way, by: usize) {
    let shown = app.lanes.shown();
    let place = shown.iter().position(|channel| *channel == app.lanes.chosen).unwrap_or(0);
    if let Some(channel) = shown.get(way.moved(place / by * by, by, shown.len())) {
        app.lanes.chosen = *channel;
    }
}

/// Does an action about which lanes there are.
pub(super) fn lanes(app: &mut App, snapshot: &Snapshot, action: &Action) {
    let chosen = app.lanes.chosen;
    let own = app.output(snapshot).and_then(|output| output.spec.channels.get(chosen));
    let own = own.map_or_else(String::new, |channel| channel.name.clone());
    let name = app.lanes.order.name(chosen, &own).to_owned();
    let text = match action {
        Action::HideLane if app.lanes.order.is_solo() => "shown alone: s shows the others first".to_owned(),
        Action::HideLane => match app.lanes.order.hide(chosen) {
            Some(next) => {
                app.lanes.chosen = next;
                format!("{name} is hidden, but recorded all the same; H shows all")
            }
            None => format!("{name} is the last one shown"),
        },
        Action::ShowLanes => {
            app.lanes.order.show_all();
            "all channels are shown, in the device's order".to_owned()
        }
        Action::Solo if app.lanes.order.toggle_solo() => format!("{name} alone; s shows the others again"),
        Action::Solo => "all channels again".to_owned(),
        Action::ShiftLane(way) => {
            app.lanes.order.shift(chosen, *way == Way::On);
            return;
        }
        Action::AskName => {
            app.layers.push(Layer::ChannelName(LineEdit::new(&name)));
            return;
        }
        _ => {
            app.lanes.is_dense = !app.lanes.is_dense;
            if app.lanes.is_dense {
                "a row for each channel".to_owned()
            } else {
                "two rows or more for each channel".to_owned()
            }
        }
    };
    app.say(Level::Info, text);
}
