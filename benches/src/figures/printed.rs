//! Tables that other programs print in Markdown, read back: bytes per name, tables on disk, what counting costs.
//!
//! Invariant: a table is handed on as it was printed; only cells that a target is about are read as numbers.

/// What one program printed.
pub(super) struct Printed {
    /// The program, as targets name it.
    pub(super) program: &'static str,
    /// What repeats it.
    pub(super) command: &'static str,
    pub(super) text: String,
}

impl Printed {
    /// The number at the beginning of a cell of the `table`-th table, in the row that begins with `row`.
    pub(super) fn cell(&self, table: usize, row: &str, column: usize) -> Option<f64> {
        let line = self.tables().get(table)?.iter().copied().find(|line| cells(line).next() == Some(row))?;
        let cell = cells(line).nth(column)?;
        cell.split(' ').next()?.parse().ok()
    }

    /// The lines of each table.
    fn tables(&self) -> Vec<Vec<&str>> {
        let mut tables = vec![Vec::new()];
        for line in self.text.lines() {
            if line.starts_with('|') {
                tables.last_mut().expect("one at least").push(line);
            } else if tables.last().is_some_and(|table| !table.is_empty()) {
                tables.push(Vec::new());
            }
        }
        tables
    }
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.trim_matches('|').split('|').map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_found_by_its_table_its_row_and_its_column() {
        let text = "\n### one\n\n| under | ns |\n|---|---|\n| a | 1.5 |\n\n### two\n\n| under | time |\n|---|---|\n| a | 0.06 ms |\n";
        let printed = Printed { program: "p", command: "p", text: text.to_owned() };
        assert_eq!(printed.cell(0, "a", 1), Some(1.5));
        assert_eq!(printed.cell(1, "a", 1), Some(0.06));
        assert_eq!(printed.cell(1, "a", 2), None);
        assert_eq!(printed.cell(1, "b", 1), None);
        assert_eq!(printed.cell(2, "a", 1), None);
        assert_eq!(printed.cell(0, "under", 1), None);
    }
}
