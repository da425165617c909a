use wavedeck_api::{handle::RecordingState, param::ParamValue};

use super::{super::fixtures, *};

fn type_keys(app: &mut App, snapshot: &Snapshot, text: &str) -> Vec<Effect> {
    text.chars().flat_map(|c| press(app, snapshot, Key::Char(c))).collect()
}

fn at_field(key: &str, snapshot: &Snapshot) -> App {
    let mut app = App::showing(View::Params);
    app.form.stage = 1;
    app.form.field = snapshot.stages[1].params.iter().position(|(spec, _)| spec.key == key).expect("a field");
    app
}

fn with_recording(state: RecordingState) -> Snapshot {
    let mut snapshot = fixtures::recording();
    snapshot.recording = state;
    snapshot
}

#[test]
fn the_record_key_starts_pauses_and_resumes() {
    for (state, effects) in [
        (RecordingState::Idle, vec![Effect::RecordStart]),
        (RecordingState::Failed, vec![Effect::RecordStart]),
        (RecordingState::Recording, vec![Effect::RecordPause]),
        (RecordingState::Paused, vec![Effect::RecordResume]),
        (RecordingState::Finishing, vec![]),
    ] {
        let mut app = App::default();
        assert_eq!(press(&mut app, &with_recording(state), Key::Char('R')), effects, "{state:?}");
        assert_eq!(app.message.is_some(), effects.is_empty(), "{state:?}");
    }
}

#[test]
fn the_record_key_works_in_every_view() {
    for view in View::ALL {
        let mut app = App::showing(view);
        assert_eq!(press(&mut app, &fixtures::snapshot(), Key::Char('R')), [Effect::RecordStart]);
    }
}

#[test]
fn finishing_asks_once_and_takes_s_or_enter() {
    let snapshot = fixtures::recording();
    for confirm in [Key::Char('S'), Key::Enter] {
        let mut app = App::default();
        assert!(press(&mut app, &snapshot, Key::Char('S')).is_empty());
        assert_eq!(press(&mut app, &snapshot, confirm), [Effect::RecordFinish]);
        assert!(app.layers.is_empty());
    }
}

#[test]
fn the_question_to_finish_goes_away_after_three_seconds() {
    let snapshot = fixtures::recording();
    let mut app = App::default();
    press(&mut app, &snapshot, Key::Char('S'));

    assert!(!app.pass_time(Duration::from_millis(2900)));
    assert!(app.pass_time(Duration::from_millis(3000)));

    assert!(press(&mut app, &snapshot, Key::Enter).is_empty());
}

#[test]
fn another_key_withdraws_the_question_and_does_its_own() {
    let snapshot = fixtures::recording();
    let mut app = App::default();
    press(&mut app, &snapshot, Key::Char('S'));

    press(&mut app, &snapshot, Key::Char('3'));

    assert!(app.layers.is_empty());
    assert_eq!(app.view, View::Pipeline);
}

#[test]
fn finishing_without_a_recording_says_why_not() {
    let mut app = App::default();
    assert!(press(&mut app, &fixtures::snapshot(), Key::Char('S')).is_empty());
    assert!(app.message.is_some_and(|m| m.text.contains("R starts")));
}

#[test]
fn quitting_while_recording_asks() {
    let snapshot = fixtures::recording();
    for (answer, effects) in [
        (Key::Char('f'), vec![Effect::RecordFinish, Effect::Quit]),
        (Key::Enter, vec![Effect::RecordFinish, Effect::Quit]),
        (Key::Char('k'), vec![Effect::Detach]),
        (Key::Escape, vec![]),
        (Key::Char('x'), vec![]),
    ] {
        let mut app = App::default();
        assert!(press(&mut app, &snapshot, Key::Char('q')).is_empty());
        assert_eq!(press(&mut app, &snapshot, answer), effects, "{answer:?}");
    }
}

#[test]
fn quitting_at_rest_is_quick_but_not_with_staged_edits() {
    let snapshot = fixtures::snapshot();
    let mut app = at_field("cutoff_hz", &snapshot);
    assert_eq!(press(&mut app, &snapshot, Key::Char('q')), [Effect::Quit]);

    press(&mut app, &snapshot, Key::Right);
    assert!(press(&mut app, &snapshot, Key::Char('q')).is_empty());
    assert_eq!(press(&mut app, &snapshot, Key::Enter), [Effect::Quit]);
}

#[test]
fn markers_are_numbered_on_from_the_file_even_when_set_quickly() {
    let snapshot = fixtures::recording();
    let mut app = App::default();
    assert_eq!(press(&mut app, &snapshot, Key::Char('m')), [Effect::Marker("M3".into())]);
    assert_eq!(press(&mut app, &snapshot, Key::Char('m')), [Effect::Marker("M4".into())]);
    press(&mut app, &snapshot, Key::Char('M'));
    type_keys(&mut app, &snapshot, "Stim R");
    assert_eq!(press(&mut app, &snapshot, Key::Enter), [Effect::Marker("Stim R".into())]);
    assert_eq!(app.marks.len(), 3);
}

#[test]
fn a_marker_needs_a_recording() {
    let mut app = App::default();
    assert!(press(&mut app, &fixtures::snapshot(), Key::Char('m')).is_empty());
    assert!(app.message.is_some());
}

#[test]
fn a_locked_edit_has_no_effect_and_says_why() {
    let snapshot = fixtures::recording();
    for key in [Key::Left, Key::Right, Key::Enter, Key::Char('d')] {
        let mut app = at_field("cutoff_hz", &snapshot);
        assert!(press(&mut app, &snapshot, key).is_empty());
        assert!(app.form.staged.is_empty() && app.layers.is_empty());
        assert_eq!(app.message.map(|m| m.text).as_deref(), Some("cutoff_hz: locked while recording"));
    }
}

#[test]
fn a_cosmetic_parameter_changes_while_recording() {
    let snapshot = fixtures::recording();
    let mut app = at_field("label", &snapshot);
    press(&mut app, &snapshot, Key::Enter);
    type_keys(&mut app, &snapshot, "left");
    press(&mut app, &snapshot, Key::Enter);
    let effects = press(&mut app, &snapshot, Key::Char('a'));
    assert!(matches!(&effects[..], [Effect::Apply(edits)] if edits[0].key == "label"));
}

#[test]
fn a_fixed_parameter_is_staged_for_a_restart_unless_a_recording_is_open() {
    let snapshot = fixtures::snapshot();
    let mut app = at_field("channels", &snapshot);
    press(&mut app, &snapshot, Key::Right);
    assert!(app.form.restarts(&snapshot));

    let snapshot = fixtures::recording();
    let mut app = at_field("channels", &snapshot);
    press(&mut app, &snapshot, Key::Right);
    assert!(app.form.staged.is_empty());
    assert!(app.message.is_some_and(|m| m.text.contains("recording is open")));
}

#[test]
fn staged_edits_are_applied_together() {
    let snapshot = fixtures::snapshot();
    let mut app = at_field("cutoff_hz", &snapshot);
    press(&mut app, &snapshot, Key::Right);
    press(&mut app, &snapshot, Key::Down);
    press(&mut app, &snapshot, Key::Right);

    let effects = press(&mut app, &snapshot, Key::Char('a'));

    let [Effect::Apply(edits)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(
        edits.iter().map(|e| (e.key, e.value.clone())).collect::<Vec<_>>(),
        [("cutoff_hz", ParamValue::Float(40.5)), ("order", ParamValue::Int(3)),]
    );
    assert_eq!(app.form.staged.len(), 2, "staged until the session has taken them");
    applied(&mut app, edits, Ok(()));
    assert!(app.form.staged.is_empty());
}

#[test]
fn edits_stay_staged_when_the_session_is_busy() {
    let snapshot = fixtures::snapshot();
    let mut app = at_field("cutoff_hz", &snapshot);
    press(&mut app, &snapshot, Key::Right);
    let edits = app.form.staged.clone();

    applied(&mut app, &edits, Err("busy: parameters are locked while recording".into()));

    assert_eq!(app.form.staged, edits);
    assert!(app.message.is_some_and(|m| m.text.contains("busy") && m.text.contains("stay")));
}

#[test]
fn edits_staged_before_a_recording_are_for_the_session_to_refuse() {
    let snapshot = fixtures::snapshot();
    let mut app = at_field("cutoff_hz", &snapshot);
    press(&mut app, &snapshot, Key::Right);

    let effects = press(&mut app, &fixtures::recording(), Key::Char('a'));

    assert!(matches!(&effects[..], [Effect::Apply(edits)] if *edits == app.form.staged), "{effects:?}");
    assert_eq!(app.form.staged.len(), 1, "staged until the session has taken them");
}

#[test]
fn a_wrong_value_cannot_be_staged_and_escape_says_what_went() {
    let snapshot = fixtures::snapshot();
    let mut app = at_field("cutoff_hz", &snapshot);
    press(&mut app, &snapshot, Key::Enter);
    press(&mut app, &snapshot, Key::Control('u'));
    type_keys(&mut app, &snapshot, "999");

    press(&mut app, &snapshot, Key::Enter);
    assert!(matches!(app.layers.last(), Some(Layer::Field(edit)) if edit.problem.is_some()));
    press(&mut app, &snapshot, Key::Escape);

    assert!(app.layers.is_empty() && app.form.staged.is_empty());
    assert!(app.message.is_some_and(|m| m.text.contains("999") && m.text.contains("40.0")));
}

#[test]
fn undo_takes_back_the_edit_of_the_field() {
    let snapshot = fixtures::snapshot();
    let mut app = at_field("cutoff_hz", &snapshot);
    press(&mut app, &snapshot, Key::Right);
    press(&mut app, &snapshot, Key::Down);
    press(&mut app, &snapshot, Key::Right);
    press(&mut app, &snapshot, Key::Up);

    press(&mut app, &snapshot, Key::Char('u'));

    assert_eq!(app.form.staged.iter().map(|e| e.key).collect::<Vec<_>>(), ["order"]);
}

#[test]
fn space_freezes_a_live_view_and_plays_a_replay() {
    let mut app = App::default();
    assert!(press(&mut app, &fixtures::snapshot(), Key::Char(' ')).is_empty());
    assert!(app.is_frozen);

    let mut app = App::default();
    let effects = press(&mut app, &fixtures::replay(), Key::Char(' '));
    assert_eq!(effects, [Effect::Transport(TransportCommand::Pause)]);
    assert!(!app.is_frozen);
    press(&mut app, &fixtures::replay(), Key::Char('f'));
    assert!(app.is_frozen);
}

#[test]
fn seeks_in_quick_succession_add_up() {
    let snapshot = fixtures::replay();
    let mut app = App::default();
    press(&mut app, &snapshot, Key::Right);
    let effects = press(&mut app, &snapshot, Key::ShiftRight);
    assert_eq!(effects, [Effect::Transport(TransportCommand::Show { at_s: 203.5, before_s: 10.0 })]);
    app.pass_time(Duration::from_secs(1));
    assert_eq!(
        press(&mut app, &snapshot, Key::Left),
        [Effect::Transport(TransportCommand::Show { at_s: 191.5, before_s: 10.0 })]
    );
    assert_eq!(
        press(&mut app, &snapshot, Key::End),
        [Effect::Transport(TransportCommand::Show { at_s: 763.0, before_s: 10.0 })]
    );
}

#[test]
fn the_speed_has_steps_and_ends() {
    let mut snapshot = fixtures::replay();
    let mut app = App::default();
    assert_eq!(press(&mut app, &snapshot, Key::Char('>')), [Effect::Transport(TransportCommand::Speed(2.0))]);
    if let Some(transport) = &mut snapshot.transport {
        transport.speed = 0.25;
    }
    assert_eq!(press(&mut app, &snapshot, Key::Char('<')), [Effect::Transport(TransportCommand::Speed(0.1))]);
    if let Some(transport) = &mut snapshot.transport {
        transport.speed = 0.0;
    }
    assert_eq!(press(&mut app, &snapshot, Key::Char('<')), [Effect::Transport(TransportCommand::Speed(100.0))]);
}

#[test]
fn a_key_sets_the_marker_that_the_recorder_names() {
    let mut snapshot = fixtures::recording();
    let mut app = App::default();
    assert_eq!(press(&mut app, &snapshot, Key::F(2)), [Effect::Marker("F2".into())]);
    let spec = wavedeck_api::param::ParamSpec::text("markers", "");
    snapshot.stages = [crate::snapshot::StageParams {
        id: "rec".into(),
        kind: "record",
        summary: "",
        params: vec![(Box::leak(Box::new(spec)) as &_, wavedeck_api::param::ParamValue::Text("stim, blink,".into()))],
    }]
    .into();
    assert_eq!(press(&mut app, &snapshot, Key::F(2)), [Effect::Marker("blink".into())]);
    assert_eq!(press(&mut app, &snapshot, Key::F(3)), [Effect::Marker("F3".into())]);
    assert!(press(&mut app, &fixtures::snapshot(), Key::F(1)).is_empty(), "nothing is being recorded");
}

#[test]
fn an_alarm_is_acknowledged_where_there_is_one() {
    let mut snapshot = fixtures::recording();
    let mut app = App::default();
    assert!(press(&mut app, &snapshot, Key::Char('!')).is_empty());
    if let Some(recorder) = &mut snapshot.recorder {
        recorder.error = Some("the disk is full".into());
    }
    assert_eq!(press(&mut app, &snapshot, Key::Char('!')), [Effect::Acknowledge]);
}

#[test]
fn a_replay_does_not_replace_a_recording() {
    let mut app = App::showing(View::Recordings);
    app.library.entries.push(fixtures::entry("a"));
    assert!(press(&mut app, &fixtures::recording(), Key::Enter).is_empty());
    assert!(app.message.take().is_some_and(|m| m.text.contains("finish")));
    assert_eq!(press(&mut app, &fixtures::snapshot(), Key::Enter), [Effect::Replay("recordings/a".into())]);
}

#[test]
fn pausing_the_pipeline_is_a_toggle() {
    let mut snapshot = fixtures::snapshot();
    let mut app = App::default();
    assert_eq!(press(&mut app, &snapshot, Key::Char('p')), [Effect::Pause]);
    snapshot.pipeline = PipelineState::Paused;
    assert_eq!(press(&mut app, &snapshot, Key::Char('p')), [Effect::Resume]);
    snapshot.pipeline = PipelineState::Failed;
    assert!(press(&mut app, &snapshot, Key::Char('p')).is_empty());
}

#[test]
fn the_last_physical_output_is_looked_at_first_and_spectra_never() {
    let snapshot = fixtures::snapshot();
    let mut app = App::default();
    app.notice(&snapshot);
    assert_eq!(app.output(&snapshot).map(|o| &*o.stage), Some("clean"));
    press(&mut app, &snapshot, Key::Tab);
    assert_eq!(app.output(&snapshot).map(|o| &*o.stage), Some("board"));
    press(&mut app, &snapshot, Key::Char('o'));
    assert_eq!(app.output(&snapshot).map(|o| &*o.stage), Some("clean"));
}

#[test]
fn edits_of_a_pipeline_that_is_gone_are_not_lost_silently() {
    let mut snapshot = fixtures::snapshot();
    let mut app = at_field("cutoff_hz", &snapshot);
    press(&mut app, &snapshot, Key::Right);
    snapshot.generation = 2;
    snapshot.stages = snapshot.stages[..1].to_vec().into();

    app.notice(&snapshot);

    assert!(app.form.staged.is_empty());
    assert!(app.message.is_some_and(|m| m.text.contains("1 staged edit is gone")));
}

#[test]
fn warnings_are_counted_until_the_log_is_looked_at() {
    let snapshot = fixtures::snapshot();
    let mut app = App::default();
    app.notice(&snapshot);
    assert_eq!(app.unseen(&snapshot), 2);
    press(&mut app, &snapshot, Key::Char('6'));
    app.notice(&snapshot);
    press(&mut app, &snapshot, Key::Char('1'));
    assert_eq!(app.unseen(&snapshot), 0);
}

#[test]
fn the_list_is_read_when_it_is_shown_and_after_a_recording() {
    let mut app = App::default();
    assert_eq!(press(&mut app, &fixtures::snapshot(), Key::Char('5')), [Effect::ReadRecordings]);
    assert!(!app.notice(&fixtures::recording()));
    assert!(app.notice(&fixtures::snapshot()));
    assert!(!app.notice(&fixtures::snapshot()));
}

#[test]
fn a_paste_goes_into_text_only() {
    let snapshot = fixtures::snapshot();
    let mut app = App::default();
    assert!(input(&mut app, &snapshot, Input::Paste("Rq".into())).is_empty());
    let mut app = at_field("label", &snapshot);
    press(&mut app, &snapshot, Key::Enter);
    input(&mut app, &snapshot, Input::Paste("left\nside".into()));
    press(&mut app, &snapshot, Key::Enter);
    assert_eq!(app.form.staged[0].json, "leftside");
}

#[test]
fn no_key_panics_in_any_place() {
    let keys = (' '..='~').map(Key::Char).chain([
        Key::Up,
        Key::Down,
        Key::Left,
        Key::Right,
        Key::ShiftLeft,
        Key::ShiftRight,
        Key::PageUp,
        Key::PageDown,
        Key::Home,
        Key::End,
        Key::Enter,
        Key::Escape,
        Key::Tab,
        Key::BackTab,
        Key::Backspace,
        Key::Delete,
        Key::Control('u'),
    ]);
    let keys: Vec<Key> = keys.collect();
    let mut empty = fixtures::snapshot();
    empty.stages = [].into();
    empty.outputs = [].into();
    empty.telemetry = Default::default();
    empty.log = [].into();
    for snapshot in [fixtures::snapshot(), fixtures::recording(), fixtures::replay(), empty] {
        for view in View::ALL {
            let mut app = App::showing(view);
            app.notice(&snapshot);
            for first in &keys {
                for second in &keys {
                    press(&mut app, &snapshot, *first);
                    press(&mut app, &snapshot, *second);
                }
                app.view = view;
            }
        }
    }
}

#[test]
fn the_palette_finds_by_words_does_it_and_says_why_not() {
    let mut app = App::default();
    let snapshot = fixtures::snapshot();
    app.notice(&snapshot);
    press(&mut app, &snapshot, Key::Char(':'));
    for c in "start rec".chars() {
        press(&mut app, &snapshot, Key::Char(c));
    }
    assert_eq!(press(&mut app, &snapshot, Key::Enter), [Effect::RecordStart]);
    assert!(app.layers.is_empty());
    press(&mut app, &snapshot, Key::Char(':'));
    for c in "finish".chars() {
        press(&mut app, &snapshot, Key::Char(c));
    }
    assert_eq!(press(&mut app, &snapshot, Key::Enter), []);
    assert!(app.message.as_ref().is_some_and(|message| message.text.contains("nothing is being recorded")));
    press(&mut app, &snapshot, Key::Char(':'));
    press(&mut app, &snapshot, Key::Down);
    press(&mut app, &snapshot, Key::Escape);
    assert!(app.layers.is_empty());
}
