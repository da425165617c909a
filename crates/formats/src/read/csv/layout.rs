//! What the columns of a table are, found in its first lines.
use std::collections::HashSet;

use super::{
    super::{
        foreign::{Shared, free_name},
        number::Decimal,
    },
    MOST_COLUMNS,
    dialect::{Cell, Dialect},
    lines::{Delimiter, Lines, Place, is_row, text},
    names::{self, Meaning},
    pace::{Pace, counts_by_one},
    preamble::{self, Origin, Preamble},
};
use crate::error::SourceError;

/// Rows and bytes that are looked at first.
const HEAD_ROWS: usize = 1000;
const HEAD_BYTES: usize = 2 << 20;

/// What the columns are.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) dialect: Dialect,
    pub(super) preamble: Preamble,
    /// Where the first row begins.
    pub(super) first: Place,
    /// Column, name and unit of each channel.
    pub(super) channels: Vec<(usize, String, String)>,
    /// Column of numbers that count samples.
    pub(super) index: Option<usize>,
    pub(super) time: Option<(usize, Pace)>,
    pub(super) markers: Vec<usize>,
    /// True if this program wrote it.
    pub(super) is_own: bool,
    pub(super) warnings: Vec<String>,
}

/// The first rows.
type Head = Vec<(Place, Vec<u8>)>;

impl Layout {
    pub(super) fn read(file: &Shared, length: u64) -> Result<Self, SourceError> {
        let mut preamble = Preamble::default();
        let lines = read_head(file, Place::default(), None, Some(&mut preamble))?;
        let Some((mut first, _)) = lines.first().cloned() else {
            return Err(file.bad("table", "at least one line", ""));
        };
        let bytes: Vec<Vec<u8>> = lines.into_iter().map(|(_, line)| line).collect();
        let mut dialect = Dialect::guess(&bytes);
        if dialect.columns > MOST_COLUMNS {
            let columns = format!("more than {MOST_COLUMNS}");
            return Err(file.bad("number of columns", format!("at most {MOST_COLUMNS}"), &columns));
        }
        // Now that it is known what quotes mean, once more.
        let mut rows = read_head(file, first, Some(dialect.delimiter), None)?;
        let header = is_header(&dialect, &rows).then(|| rows.remove(0));
        if let Some((place, line)) = &header {
            // Names may be more than the numbers below only if these are none at all.
            let fields = dialect.fields(line).filter(|name| !name.trim_ascii().is_empty()).count();
            if rows.is_empty() {
                dialect.columns = fields.clamp(1, MOST_COLUMNS);
            } else if fields > dialect.columns {
                let expected = format!("names of {} columns, as many as the rows have", dialect.columns);
                return Err(file.bad(format!("line {}", place.lines + 1), expected, &fields.to_string()));
            }
            first = rows.first().map_or(Place { offset: length, ..*place }, |(place, _)| *place);
        }
        let names = match &header {
            Some((_, line)) => Some(names_in(&dialect, line)),
            None => preamble.names.take().filter(|names| names.len() == dialect.columns).or_else(|| {
                let line = preamble.last.as_bytes();
                let is_names = dialect.columns > 1
                    && dialect.fields(line).count() == dialect.columns
                    && dialect.fields(line).all(|name| dialect.cell(name) == Cell::Text);
                is_names.then(|| names_in(&dialect, line))
            }),
        };
        let mut layout = Self {
            dialect,
            preamble,
            first,
            channels: Vec::new(),
            index: None,
            time: None,
            markers: Vec::new(),
            is_own: false,
            warnings: Vec::new(),
        };
        layout.assign(names, &rows);
        if layout.channels.is_empty() {
            return Err(file.bad("table", "one with a column of numbers beside times and indices", &text(&bytes[0])));
        }
        layout.check(file, &rows)?;
        Ok(layout)
    }

    /// Finds the meaning of each column.
    fn assign(&mut self, names: Option<Vec<(String, String)>>, rows: &Head) {
        let is_named = names.is_some();
        let is_bci = self.preamble.origin == Origin::OpenBci;
        let names = names.unwrap_or_else(|| self.made_names(rows));
        let plain = |place: usize| names.get(place).map(|(name, _)| name.as_str());
        self.is_own = plain(0) == Some("sample")
            && names.get(1).is_some_and(|name| *name == ("time_s".into(), String::new()))
            && plain(self.dialect.columns - 1) == Some("marker");
        let (mut times, mut taken) = (Vec::new(), HashSet::new());
        for (column, (name, unit)) in names.into_iter().enumerate() {
            let numbers = self.decimals(column, rows);
            let by_one = numbers.as_deref().and_then(counts_by_one).map(|by_one| by_one || self.is_own);
            match names::meaning(&name, &unit) {
                Meaning::Marker => self.markers.push(column),
                Meaning::Index | Meaning::Time(_) if rows.is_empty() => {}
                // Row numbers of pandas and R have no name.
                Meaning::Value if is_named && column == 0 && name.is_empty() && by_one == Some(true) => {
                    self.index = Some(0);
                }
                Meaning::Index if by_one.is_some() => {
                    self.index = self.index.or((by_one == Some(true)).then_some(column))
                }
                Meaning::Time(power) if numbers.as_ref().is_some_and(|times| is_rising(times)) => {
                    times.push((column, power, numbers.unwrap_or_default()));
                }
                Meaning::Time(_) if numbers.is_none() => {
                    self.warnings.push(format!("`{name}` holds no numbers of seconds, it is left out"));
                }
                // Times for people, which other columns have as numbers.
                Meaning::Value if is_bci && self.is_text(column, rows) => {}
                _ => {
                    let unit = if is_bci && unit.is_empty() { bci_unit(&name).to_owned() } else { unit };
                    let name = if name.is_empty() { format!("column {}", column + 1) } else { name };
                    let name = free_name(name, |name| taken.contains(name));
                    taken.insert(name.clone());
                    self.channels.push((column, name, unit));
                }
            }
        }
        let steps = self.steps(rows);
        if let Some((column, power, numbers)) = times.into_iter().next() {
            self.time = Pace::of(&numbers, power, &steps).map(|pace| (column, pace));
        }
        if self.time.is_none() && self.index.is_none() && (self.channels.len() > 1 || !self.markers.is_empty()) {
            self.guess_first(is_named, rows);
        }
    }

    /// Takes the first column for times or indices if it looks like them.
    fn guess_first(&mut self, is_named: bool, rows: &Head) {
        let Some((0, name, unit)) = self.channels.first() else {
            return;
        };
        let Some(numbers) = self.decimals(0, rows).filter(|_| unit.is_empty() && rows.len() > 3) else {
            return;
        };
        if counts_by_one(&numbers) == Some(true) {
            if name.starts_with("column ") || !is_named {
                self.index = Some(0);
                self.channels.remove(0);
            }
            return;
        }
        let is_strict = numbers.windows(2).all(|pair| less(pair[0], pair[1]));
        let pace = Pace::of(&numbers, None, &[]).filter(|pace| is_strict && pace.is_even);
        if let Some(pace) = pace {
            self.time = Some((0, pace));
            self.channels.remove(0);
        }
    }

    /// Indices between one row and the next.
    fn steps(&self, rows: &Head) -> Vec<i64> {
        let numbers = self.index.and_then(|column| self.decimals(column, rows)).unwrap_or_default();
        let whole: Vec<i64> = numbers.iter().map(|number| number.scaled(0).unwrap_or(0)).collect();
        whole.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect()
    }

    /// Names for a table that has none.
    fn made_names(&self, rows: &Head) -> Vec<(String, String)> {
        if self.preamble.origin != Origin::OpenBci {
            return vec![(String::new(), String::new()); self.dialect.columns];
        }
        let exg = self.preamble.channels.unwrap_or(8);
        let late = |column: usize| {
            let numbers = self.decimals(column, rows).unwrap_or_default();
            column > exg && numbers.first().and_then(|number| number.scaled(0)).is_some_and(|n| n > 1_000_000_000)
        };
        let name = |column: usize| match column {
            0 => "Sample Index".to_owned(),
            _ if column <= exg => format!("EXG Channel {}", column - 1),
            _ if late(column) => "Timestamp".to_owned(),
            _ if column <= exg + 3 => format!("Accel Channel {}", column - exg - 1),
            _ => format!("Aux Channel {}", column - exg - 4),
        };
        (0..self.dialect.columns).map(|column| (name(column), String::new())).collect()
    }

    /// A column as numbers; `None` if one of them is none, or there are none.
    fn decimals(&self, column: usize, rows: &Head) -> Option<Vec<Decimal>> {
        let cells = rows.iter().filter_map(|(_, line)| self.dialect.fields(line).nth(column));
        let numbers: Option<Vec<_>> = cells.map(|cell| Decimal::parse(&self.dialect.number_text(cell))).collect();
        numbers.filter(|numbers| !numbers.is_empty())
    }

    fn is_text(&self, column: usize, rows: &Head) -> bool {
        let mut cells = rows.iter().filter_map(|(_, line)| self.dialect.fields(line).nth(column));
        !rows.is_empty() && cells.all(|cell| self.dialect.cell(cell) == Cell::Text)
    }

    /// That the first rows have the numbers they must have.
    fn check(&self, file: &Shared, rows: &Head) -> Result<(), SourceError> {
        for (place, line) in rows {
            let cells: Vec<&[u8]> = self.dialect.fields(line).collect();
            for (column, name, _) in &self.channels {
                if let Some(cell) = cells.get(*column).filter(|cell| self.dialect.cell(cell) == Cell::Text) {
                    return Err(not_a_number(file, place.lines + 1, *column, name, cell));
                }
            }
        }
        Ok(())
    }
}

/// That a cell must hold a number.
pub(super) fn not_a_number(file: &Shared, line: u64, column: usize, name: &str, cell: &[u8]) -> SourceError {
    file.bad(format!("line {line}, column {} ({name})", column + 1), "a number", &text(cell))
}

fn bci_unit(name: &str) -> &'static str {
    match name {
        _ if name.starts_with("EXG Channel") => "uV",
        _ if name.starts_with("Accel Channel") => "g",
        _ => "",
    }
}

fn less(a: Decimal, b: Decimal) -> bool {
    a.scaled(9).zip(b.scaled(9)).is_some_and(|(a, b)| a < b)
}

fn is_rising(numbers: &[Decimal]) -> bool {
    numbers.windows(2).all(|pair| !less(pair[1], pair[0]))
}

fn names_in(dialect: &Dialect, line: &[u8]) -> Vec<(String, String)> {
    let mut names: Vec<_> = dialect.fields(line).map(|name| names::split(&text(name))).collect();
    // Tables of R leave out the name of the first column.
    if names.len() + 1 == dialect.columns {
        names.insert(0, Default::default());
    }
    names.resize(dialect.columns, Default::default());
    names
}

/// True if the first row holds names: words where others hold numbers.
fn is_header(dialect: &Dialect, rows: &Head) -> bool {
    let Some((_, first)) = rows.first() else {
        return false;
    };
    let cells = |line: &[u8]| dialect.fields(line).map(|cell| dialect.cell(cell)).collect::<Vec<_>>();
    let first = cells(first);
    match rows.get(1) {
        None => first.contains(&Cell::Text),
        Some(_) if first.len() != dialect.columns => first.iter().all(|cell| *cell == Cell::Text),
        Some((_, second)) => {
            let second = cells(second);
            let differs =
                first.iter().zip(&second).any(|(first, second)| *first == Cell::Text && *second != Cell::Text);
            differs || first.iter().all(|cell| *cell == Cell::Text)
        }
    }
}

/// The first rows from a place on; comments before them go to the preamble.
fn read_head(
    file: &Shared,
    from: Place,
    quoting: Option<Delimiter>,
    mut preamble: Option<&mut Preamble>,
) -> Result<Head, SourceError> {
    let mut lines = Lines::new(file, from, quoting);
    let mut head = Head::new();
    let (mut bytes, mut comments) = (0, 0);
    while let Some(line) = lines.next()? {
        if is_row(line.bytes) {
            bytes += line.bytes.len();
            head.push((line.place, line.bytes.to_vec()));
            if head.len() == HEAD_ROWS || bytes > HEAD_BYTES {
                break;
            }
        } else if head.is_empty()
            && let Some(preamble) = &mut preamble
        {
            comments += line.bytes.len();
            if comments <= preamble::MOST_BYTES {
                preamble.take(&text(line.bytes));
            }
        }
    }
    Ok(head)
}
