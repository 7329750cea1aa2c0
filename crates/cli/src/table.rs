//! Tables that fit the terminal.

use std::ops::Range;

use comfy_table::{
    CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, TableStyle, Width,
};
use unicode_width::UnicodeWidthStr;

use crate::output::{self, Tone, printable};

/// Columns of a terminal whose size is not known, and of a file or a pipe.
const WIDTH: u16 = 80;

/// Spaces between two columns.
const GAP: u16 = 2;

/// One rule, below the header.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// Text in a table.
pub struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl<T: ToString> From<T> for Cell {
    fn from(value: T) -> Self {
        let text = printable(&value.to_string()).replace('\t', " ");
        Self { text, tone: None }
    }
}

impl Cell {
    /// Whether there is drift, as `yes` or `no` in the colour of the verdict.
    pub fn drifted(drifted: bool) -> Self {
        let text = if drifted { "yes" } else { "no" };
        Self::toned(text, Tone::of(Some(drifted)))
    }

    /// Text in the colour of a verdict.
    pub fn toned(text: impl ToString, tone: Tone) -> Self {
        let tone = Some(tone);
        Self {
            tone,
            ..Self::from(text)
        }
    }

    /// Columns of the terminal that its longest word takes: words and numbers stay whole.
    fn longest_word(&self) -> u16 {
        widest(self.text.split([' ', '\n']))
    }

    /// Columns of the terminal that it takes without wrapping.
    fn width(&self) -> u16 {
        widest(self.text.lines())
    }

    /// Whether it stands at the right of its column.
    fn is_number(&self) -> bool {
        let text = self.text.trim_end_matches('%').trim_end();
        text.is_empty() || text == "-" || text.parse::<f64>().is_ok()
    }

    fn render(&self) -> comfy_table::Cell {
        let cell = comfy_table::Cell::new(&self.text);
        match self.tone {
            None => cell,
            Some(Tone::Good) => cell.fg(Color::DarkGreen),
            Some(Tone::Bad) => cell.fg(Color::DarkRed),
            Some(Tone::Unknown) => cell.fg(Color::DarkYellow),
        }
    }
}

fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> u16 {
    let widest = texts.map(UnicodeWidthStr::width).max();
    u16::try_from(widest.unwrap_or_default()).unwrap_or(u16::MAX)
}

/// A table that is no wider than the terminal, or than 80 columns in a file or a pipe.
///
/// Cells are wrapped between words. Columns that do not fit beside each other go on in a second table below, whose first
/// column is the same.
pub struct Table {
    /// The header and the rows below it, each with as many cells.
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with a header and no rows.
    pub fn new<T: Into<Cell>>(header: impl IntoIterator<Item = T>) -> Self {
        let header = header.into_iter().map(Into::into).collect();
        Self { rows: vec![header] }
    }

    /// Adds a row; cells that it lacks stay empty.
    pub fn add_row<T: Into<Cell>>(&mut self, row: impl IntoIterator<Item = T>) {
        let mut row: Vec<Cell> = row.into_iter().map(Into::into).collect();
        row.resize_with(self.rows[0].len(), || "".into());
        self.rows.push(row);
    }

    /// Writes it as a part of the result.
    pub fn print(&self) -> anyhow::Result<()> {
        let named = std::env::var("COLUMNS").ok();
        let width = named
            .and_then(|columns| columns.parse().ok())
            .or_else(|| comfy_table::Table::new().width())
            .filter(|columns| *columns > 0)
            .unwrap_or(WIDTH);
        output::styled(&self.render(width))
    }

    fn render(&self, width: u16) -> String {
        let mut text = String::new();
        for others in self.parts(width) {
            text += &self.part(others, width);
            text.push('\n');
        }
        text
    }

    /// The columns beside the first of each table that it is written as.
    fn parts(&self, width: u16) -> Vec<Range<usize>> {
        let needed = |column| u32::from(self.widest(column, Cell::longest_word) + GAP);
        let room = u32::from(width) + u32::from(GAP);
        let mut parts = Vec::new();
        let (mut begin, mut used) = (1, needed(0));
        for column in 1..self.rows[0].len() {
            if column > begin && used + needed(column) > room {
                parts.push(begin..column);
                (begin, used) = (column, needed(0));
            }
            used += needed(column);
        }
        parts.push(begin..self.rows[0].len());
        parts
    }

    /// The largest `width` of the cells of a column.
    fn widest(&self, column: usize, width: fn(&Cell) -> u16) -> u16 {
        let cells = self.rows.iter().map(|row| width(&row[column]));
        // Longer than any terminal is long enough.
        cells.max().unwrap_or_default().min(u16::MAX / 2)
    }

    fn part(&self, others: Range<usize>, width: u16) -> String {
        let columns: Vec<usize> = std::iter::once(0).chain(others).collect();
        let gaps = u32::from(GAP) * (columns.len() as u32 - 1);
        let total = |width: fn(&Cell) -> u16| {
            let widths = columns.iter().map(|at| u32::from(self.widest(*at, width)));
            u16::try_from(widths.sum::<u32>() + gaps).unwrap_or(u16::MAX)
        };
        let arrangement = if total(Cell::width) <= width {
            ContentArrangement::Disabled
        } else {
            ContentArrangement::Dynamic
        };
        let mut table = comfy_table::Table::new();
        table
            .load_style(STYLE)
            .set_content_arrangement(arrangement)
            // A word that is longer than the terminal, such as a path, goes beyond its edge in one piece.
            .set_width(width.max(total(Cell::longest_word)))
            .force_no_tty()
            .enforce_styling();
        let pick = |row: &Vec<Cell>| -> Vec<comfy_table::Cell> {
            columns.iter().map(|at| row[*at].render()).collect()
        };
        table.set_header(pick(&self.rows[0]));
        for row in &self.rows[1..] {
            table.add_row(pick(row));
        }
        // Spaces at the end of a line stay outside of the colour, and go.
        table.style_text_only();
        for (column, at) in table.column_iter_mut().zip(&columns) {
            let gap = if Some(at) == columns.last() { 0 } else { GAP };
            let word = self.widest(*at, Cell::longest_word) + gap;
            column.set_padding((0, gap));
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(word)));
            let mut below = self.rows[1..].iter().map(|row| &row[*at]);
            if *at > 0 && self.rows.len() > 1 && below.all(Cell::is_number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(table: &Table, width: u16) -> Vec<String> {
        table.render(width).lines().map(str::to_owned).collect()
    }

    #[test]
    fn words_and_numbers_stay_whole() {
        let mut table = Table::new(["name", "distance", "what it is"]);
        table.add_row([
            "jsd",
            "0.1234",
            "the Jensen-Shannon distance of two histograms",
        ]);
        table.add_row(["hotelling", "12.5", "a distance of means"]);
        for width in [28, 30, 40, 60, 80, 200] {
            let text = table.render(width);
            for word in [
                "0.1234",
                "12.5",
                "hotelling",
                "distance",
                "Jensen-Shannon",
                "histograms",
            ] {
                assert!(text.contains(word), "{width}: no `{word}` in\n{text}");
            }
            let widest = text.lines().map(UnicodeWidthStr::width).max();
            assert!(widest <= Some(usize::from(width)), "{width}:\n{text}");
        }
    }

    #[test]
    fn there_is_one_rule_and_numbers_stand_at_the_right() {
        let mut table = Table::new(["window", "rows"]);
        table.add_row(["week-1", "1000"]);
        table.add_row(["week-2", "-"]);
        assert_eq!(
            lines(&table, 80),
            [
                "window  rows",
                "────────────",
                "week-1  1000",
                "week-2     -"
            ]
        );
    }

    #[test]
    fn columns_that_do_not_fit_go_on_below() {
        let sizes = ["100", "200", "300", "400"].map(|size| format!("{size}-rows"));
        let mut table = Table::new(["name".to_owned()].into_iter().chain(sizes));
        table.add_row(["a", "1", "2", "3", "4"]);
        assert_eq!(
            lines(&table, 26),
            [
                "name  100-rows  200-rows",
                "────────────────────────",
                "a            1         2",
                "name  300-rows  400-rows",
                "────────────────────────",
                "a            3         4",
            ]
        );
    }

    #[test]
    fn a_path_stays_in_one_piece_and_escapes_are_shown() {
        let path = format!("/store/{}", "x".repeat(100));
        let mut table = Table::new(["folder", "what is there"]);
        table.add_row([path.as_str(), "no \u{1b}[31mplugins"]);
        let text = table.render(80);
        assert!(
            text.contains(&path) && text.contains("\\u{1b}[31mplugins"),
            "{text}"
        );
    }
}
