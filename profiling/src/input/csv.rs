//! Reads a trace's files: tasks and machines as CSV, with errors that say where and what was expected.
//!
//! Columns are found by their names in the first line, in any order; further columns are ignored. Tasks:
//! `name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,creation_time,deletion_time` (the trace's `pod_phase` and
//! `scheduled_time` tell what became of a task there, and are not input here). Machines: `sn,cpu_milli,memory_mib,gpu,model`.
//!
//! Invariant: what it returns is within every limit of the scheduler, of a proposal and of a request's form, and no more of a
//! file is held than `Bounded` lets through.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use control_plane::raft::ProposalLimits;
use control_plane::scheduler::{
    GPU_MILLI, GPU_MODELS_MAX, GPUS_PER_NODE_MAX, GpuRequest, NODES_MAX, Node, Qos, Resources,
};

use super::Task;
use super::bounded::Bounded;
use crate::request::{shorten, whole};

/// Longest text that a field may hold, in bytes. A name may be as long as in a proposal, by [`ProposalLimits`]' default, which
/// the replay has too.
pub const TEXT_BYTES_MAX: usize = 255;

/// What is wrong with a file, and where.
#[derive(Debug)]
#[non_exhaustive]
pub struct CsvError {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1; 0 where the file as a whole is meant.
    pub line: u64,
    /// Column, from 1, with its name where it has one.
    pub column: Option<(usize, &'static str)>,
    /// What was expected there, and what was found.
    pub message: String,
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        match self.column {
            Some((column, "")) => write!(f, ", column {column}")?,
            Some((column, name)) => write!(f, ", column {column} ({name})")?,
            None => {}
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for CsvError {}

/// Reads tasks, in the file's order.
///
/// # Errors
///
/// [`CsvError`] if the file cannot be read, lacks a column, has no task, or a field is not what its column holds.
pub fn tasks(file: &Path) -> Result<Vec<Task>, CsvError> {
    const NAMES: [&str; 9] = [
        "name",
        "cpu_milli",
        "memory_mib",
        "num_gpu",
        "gpu_milli",
        "gpu_spec",
        "qos",
        "creation_time",
        "deletion_time",
    ];
    Table::open(file, NAMES)?.read("task", |row| {
        let creation_seconds = row.seconds(7)?;
        let deletion_seconds = if row.text(8)?.is_empty() { None } else { Some(row.seconds(8)?) };
        if deletion_seconds.is_some_and(|deletion| deletion < creation_seconds) {
            let expected = format!("a time not before the task's creation_time, {creation_seconds}");
            return Err(row.error(8, &expected));
        }
        Ok(Task {
            name: row.name(0)?,
            resources: Resources {
                cpu_milli: row.number(1, u32::MAX)?,
                memory_mib: row.number(2, u32::MAX)?,
                gpus: GpuRequest {
                    count: narrow(row.number(3, GPUS_PER_NODE_MAX)?),
                    milli: narrow(row.number(4, usize::from(GPU_MILLI))?),
                },
            },
            gpu_spec: row.text(5)?.to_owned(),
            qos: Qos::from_name(row.text(6)?).ok_or_else(|| row.error(6, "LS, Guaranteed, Burstable or BE"))?,
            creation_seconds,
            deletion_seconds,
        })
    })
}

/// Reads machines, in the file's order.
///
/// # Errors
///
/// [`CsvError`] if the file cannot be read, lacks a column, has no machine, one twice, more than [`NODES_MAX`] or more than
/// [`GPU_MODELS_MAX`] GPU models, or a field is not what its column holds.
pub fn nodes(file: &Path) -> Result<Vec<Node>, CsvError> {
    let mut models = BTreeSet::new();
    // Each with its line.
    let mut names: HashMap<String, u64> = HashMap::new();
    Table::open(file, ["sn", "cpu_milli", "memory_mib", "gpu", "model"])?.read("machine", |row| {
        let name = row.name(0)?;
        if let Some(line) = names.insert(name.clone(), row.line) {
            return Err(row.error(0, &format!("a name other than that of the machine in line {line}")));
        }
        if names.len() > NODES_MAX {
            return Err(row.error(0, &format!("no machine after {NODES_MAX} of them, the most there may be")));
        }
        let model = row.text(4)?;
        if !model.is_empty() && models.insert(model.to_owned()) && models.len() > GPU_MODELS_MAX {
            return Err(
                row.error(4, &format!("one of the {GPU_MODELS_MAX} GPU models before it, the most there may be"))
            );
        }
        Ok(Node {
            name,
            cpu_milli: row.number(1, u32::MAX)?,
            memory_mib: row.number(2, u32::MAX)?,
            gpus: narrow(row.number(3, GPUS_PER_NODE_MAX)?),
            model: model.to_owned(),
        })
    })
}

/// Narrows a number that was checked to be small enough.
fn narrow<T: TryFrom<usize>>(number: usize) -> T {
    T::try_from(number).ok().expect("the reader checked the limit")
}

/// An open file whose columns are known.
struct Table<const N: usize> {
    file: PathBuf,
    reader: csv::Reader<Bounded<File>>,
    columns: [(usize, &'static str); N],
}

impl<const N: usize> Table<N> {
    fn open(file: &Path, names: [&'static str; N]) -> Result<Self, CsvError> {
        let whole_file = |error: io::Error| CsvError {
            file: file.into(),
            line: 0,
            column: None,
            message: format!("cannot be read: {error}"),
        };
        let open = File::open(file).map_err(whole_file)?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(Bounded::new(open));
        let header = reader.headers().map_err(|error| broken(file, &error))?;
        let mut columns = [(0, ""); N];
        for (column, name) in columns.iter_mut().zip(names) {
            let mut found = header.iter().enumerate().filter(|(_, title)| title.trim_start_matches('\u{feff}') == name);
            let error = |at, message| CsvError { file: file.into(), line: 1, column: Some((at, name)), message };
            let Some((at, _)) = found.next() else {
                let found = header.iter().collect::<Vec<_>>().join(",");
                let message = format!("expected a column of this name, found {:?}", shorten(&found));
                return Err(error(header.len() + 1, message));
            };
            if let Some((again, _)) = found.next() {
                return Err(error(again + 1, format!("expected one column of this name, found another at {}", at + 1)));
            }
            *column = (at, name);
        }
        Ok(Self { file: file.into(), reader, columns })
    }

    fn read<T>(
        mut self,
        what: &str,
        mut make: impl FnMut(&Row<'_, N>) -> Result<T, CsvError>,
    ) -> Result<Vec<T>, CsvError> {
        let mut rows = Vec::new();
        let mut record = csv::StringRecord::new();
        let titles = self.reader.headers().map_err(|error| broken(&self.file, &error))?.len();
        loop {
            let line = self.reader.position().line();
            self.reader.get_mut().record_begins(line);
            match self.reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(broken(&self.file, &error)),
            }
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != titles {
                return Err(CsvError {
                    file: self.file,
                    line,
                    column: Some((record.len().min(titles) + 1, "")),
                    message: format!("expected {titles} columns, as in line 1, found {}", record.len()),
                });
            }
            rows.push(make(&Row { file: &self.file, line, columns: &self.columns, record: &record })?);
        }
        if rows.is_empty() {
            let message = format!("expected at least one {what} after the line of titles, found the end of the file");
            return Err(CsvError { file: self.file, line: 2, column: Some((1, "")), message });
        }
        Ok(rows)
    }
}

/// A line, with the place for errors.
struct Row<'r, const N: usize> {
    file: &'r Path,
    line: u64,
    columns: &'r [(usize, &'static str); N],
    record: &'r csv::StringRecord,
}

impl<'r, const N: usize> Row<'r, N> {
    fn field(&self, column: usize) -> &'r str {
        self.record.get(self.columns[column].0).unwrap_or_default()
    }

    fn text(&self, column: usize) -> Result<&'r str, CsvError> {
        self.text_within(column, TEXT_BYTES_MAX)
    }

    fn text_within(&self, column: usize, bytes_max: usize) -> Result<&'r str, CsvError> {
        let text = self.field(column);
        if text.len() > bytes_max {
            let expected = format!("at most {bytes_max} bytes instead of {}", text.len());
            return Err(self.error(column, &expected));
        }
        if text.chars().any(char::is_control) {
            return Err(self.error(column, "text without control characters"));
        }
        Ok(text)
    }

    fn name(&self, column: usize) -> Result<String, CsvError> {
        match self.text_within(column, ProposalLimits::default().name_bytes_max)? {
            "" => Err(self.error(column, "a name")),
            name => Ok(name.to_owned()),
        }
    }

    fn number<T>(&self, column: usize, max: T) -> Result<T, CsvError>
    where
        T: Copy + std::str::FromStr + PartialOrd + fmt::Display,
    {
        let number = whole::<T>(self.field(column)).filter(|number| *number <= max);
        number.ok_or_else(|| self.error(column, &format!("a whole number from 0 to {max}")))
    }

    fn seconds(&self, column: usize) -> Result<u64, CsvError> {
        self.number(column, u64::MAX)
    }

    fn error(&self, column: usize, expected: &str) -> CsvError {
        let (at, name) = self.columns[column];
        CsvError {
            file: self.file.into(),
            line: self.line,
            column: Some((at + 1, name)),
            message: format!("expected {expected}, found {:?}", shorten(self.field(column))),
        }
    }
}

/// What the CSV reader itself refuses.
fn broken(file: &Path, error: &csv::Error) -> CsvError {
    let line = error.position().map_or(1, csv::Position::line);
    let (column, message) = match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => {
            (Some((err.field() + 1, "")), format!("expected UTF-8, found another byte at {}", err.valid_up_to()))
        }
        csv::ErrorKind::Io(error) => {
            return CsvError { file: file.into(), line: 0, column: None, message: format!("cannot be read: {error}") };
        }
        _ => (None, error.to_string()),
    };
    CsvError { file: file.into(), line, column, message }
}
