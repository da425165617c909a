use wavedeck_api::link::Overflow;

use super::{
    super::super::super::{
        fixtures,
        theme::{Colour, Glyphs},
    },
    *,
};

const ASCII: Theme = Theme { colour: Colour::None, glyphs: Glyphs::Ascii, is_light: false };

/// Counters of these stages and edges.
fn telemetry(stages: &[&str], edges: &[(&str, &str)]) -> Telemetry {
    let made = fixtures::snapshot().telemetry;
    let stage = |id: &&str| {
        let mut stage = made.stages[0].clone();
        stage.id = (*id).into();
        stage
    };
    let edge = |(from, to): &(&str, &str)| {
        let mut edge = made.edges[0].clone();
        (edge.id, edge.policy) = (format!("{from}.out -> {to}.in").into(), Overflow::Block);
        edge
    };
    Telemetry {
        stages: stages.iter().map(stage).collect(),
        edges: edges.iter().map(edge).collect(),
        ..Telemetry::default()
    }
}

fn text(telemetry: &Telemetry, cut: &Cut, pieces: &[Piece]) -> String {
    let piece = |piece: &Piece| match *piece {
        Piece::Stage(stage) => telemetry.stages[stage].id.to_string(),
        Piece::Arrow(_) => arrow_of(4, &ASCII),
        Piece::Sign(sign) => sign.to_owned(),
    };
    pieces[cut.first..cut.end].iter().map(piece).collect()
}

#[test]
fn branches_are_in_braces_and_a_stage_is_followed_once() {
    let demo = telemetry(
        &["board", "volts", "clean", "psd", "rec"],
        &[("board", "volts"), ("board", "rec"), ("volts", "clean"), ("clean", "psd")],
    );
    let all = pieces(&demo);
    let whole = Cut { first: 0, end: all.len(), before: 0, behind: 0 };
    assert_eq!(text(&demo, &whole, &all), "board { -> volts -> clean -> psd, -> rec }");
    let joined = telemetry(&["a", "b", "mix", "rec"], &[("a", "mix"), ("b", "mix"), ("mix", "rec")]);
    let all = pieces(&joined);
    let whole = Cut { first: 0, end: all.len(), before: 0, behind: 0 };
    assert_eq!(text(&joined, &whole, &all), "a -> mix -> rec; b -> mix");
}

#[test]
fn a_long_pipeline_is_cut_and_counts_what_is_left_out() {
    let names: Vec<String> = (0..40).map(|n| format!("stage{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let edges: Vec<(&str, &str)> = names.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let long = telemetry(&names, &edges);
    let all = pieces(&long);
    for (chosen, name) in names.iter().enumerate() {
        let cut = cut(&all, &long, SHORTEST, 78, chosen);
        let shown = text(&long, &cut, &all);
        let stages = all[cut.first..cut.end].iter().filter(|piece| matches!(piece, Piece::Stage(_))).count();
        assert_eq!(cut.before + stages + cut.behind, 40);
        assert!(shown.contains(name) && shown.chars().count() <= 78 - 13, "{chosen}: {shown}");
    }
}

#[test]
fn an_arrow_is_as_long_as_its_gauge() {
    let telemetry = telemetry(&["a", "b"], &[("a", "b")]);
    for columns in [4, 5, 7, 9, 12, 16] {
        let width: usize = fill_of(&telemetry, 0, columns, &ASCII).iter().map(|s| s.content.chars().count()).sum();
        assert_eq!((width, arrow_of(columns, &ASCII).chars().count()), (columns, columns));
    }
}
