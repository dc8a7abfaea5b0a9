//! A request's bytes: how a batch of VMs arrives, as text that people can read.
//!
//! First station of the data's way. [`write()`] makes the bytes outside the timed part; [`Request::parse`] takes the
//! fields out of them again and is the replay's first phase, the same in every strategy.
//!
//! The form: a line `batch`, the number of VMs, the number of metadata pairs; then a line per VM, its fields separated by
//! tabs: id (32 hex digits), name, config path, tenant, milli-cores, MiB, GPUs, milli-GPUs, GPU models, class of
//! service, IP address, wanted from, wanted until (`-` for ever), and any number of `key=value`.
//! Invariant: a batch has one form only (no signs, no leading zeros, lower-case hex), so that no byte is without meaning.
//! Cost: no allocation; what it finds goes into the caller's two collections.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;

use control_plane::raft::{Lifetime, ProposalError, ProposalId};
use control_plane::scheduler::{GpuRequest, Qos, Resources, VmSpec};

/// One VM's fields, borrowed from a request's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmRequest<'b> {
    /// Id of the proposal that is to be made of it.
    pub id: ProposalId,
    /// When it is wanted.
    pub lifetime: Lifetime,
    /// Its fields.
    pub spec: VmSpec<'b>,
    /// Where its metadata lies among the pairs of the batch.
    pub pairs: Range<usize>,
}

/// Why bytes are no request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestError {
    /// Line, from 1.
    pub line: usize,
    /// Field in the line, from 1.
    pub field: usize,
    /// What should have been there.
    pub expected: &'static str,
    /// What was there: enough of it to recognise it.
    pub found: Box<str>,
}

impl RequestError {
    #[cold]
    pub(crate) fn new(line: usize, field: usize, expected: &'static str, found: &str) -> Self {
        Self { line, field, expected, found: shorten(found).into() }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, field, expected, found } = self;
        write!(f, "request, line {line}, field {field}: expected {expected}, found {found:?}")
    }
}

impl std::error::Error for RequestError {}

/// What cannot be proposed is named by the line of its VM; the batch as a whole by the first line.
impl From<ProposalError> for RequestError {
    fn from(error: ProposalError) -> Self {
        let line = error.place.positions().first().map_or(1, |vm| vm + 2);
        Self::new(line, 2, "a VM within the limits of a proposal", &error.to_string())
    }
}

/// Writes a batch; texts must be free of control characters, keys of `=`.
#[must_use]
pub fn write<'v, P>(vms: &[(ProposalId, Lifetime, VmSpec<'v>, P)]) -> Vec<u8>
where
    P: AsRef<[(&'v str, String)]>,
{
    let pairs: usize = vms.iter().map(|(.., pairs)| pairs.as_ref().len()).sum();
    let mut out = format!("batch\t{}\t{pairs}\n", vms.len());
    for (id, lifetime, spec, pairs) in vms {
        for byte in id.0 {
            put(&mut out, format_args!("{byte:02x}"));
        }
        let Resources { cpu_milli, memory_mib, gpus } = spec.resources;
        put(&mut out, format_args!("\t{}\t{}\t{}", spec.name, spec.config_path, spec.tenant));
        put(&mut out, format_args!("\t{cpu_milli}\t{memory_mib}\t{}\t{}", gpus.count, gpus.milli));
        put(&mut out, format_args!("\t{}\t{}\t{}", spec.gpu_spec, spec.qos.as_str(), spec.ip));
        put(&mut out, format_args!("\t{}", lifetime.from_seconds));
        match lifetime.until_seconds {
            Some(until) => put(&mut out, format_args!("\t{until}")),
            None => out.push_str("\t-"),
        }
        for (key, value) in pairs.as_ref() {
            put(&mut out, format_args!("\t{key}={value}"));
        }
        out.push('\n');
    }
    out.into_bytes()
}

fn put(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes all text");
}

/// Bytes of a VM's line at least: 32 digits, 12 tabs, four numbers, a class, an address, two times, the line's end.
const VM_BYTES_MIN: usize = 32 + 12 + 4 + "LS".len() + "::".len() + "0".len() + "-".len() + 1;

/// Bytes of a metadata pair at least: a tab and the sign between key and value.
const PAIR_BYTES_MIN: usize = "\t=".len();

/// Checked look at a request: its texts are UTF-8 and its size is known.
///
/// Room for all that it promises is a small multiple of its bytes, whatever it says: no line holds more.
#[derive(Debug, Clone, Copy)]
pub struct Request<'b> {
    /// Number of VMs.
    pub vms: usize,
    /// Number of metadata pairs of all of them.
    pub pairs: usize,
    lines: &'b str,
}

impl<'b> Request<'b> {
    /// Reads the first line, so that the caller can make room for the rest.
    ///
    /// # Errors
    ///
    /// If the bytes are no UTF-8, or the first line is not as it should be, or promises more than the bytes can hold.
    pub fn open(bytes: &'b [u8]) -> Result<Self, RequestError> {
        let error = |field, expected, found: &str| RequestError::new(1, field, expected, found);
        let text = str::from_utf8(bytes).map_err(|_| error(1, "UTF-8", &String::from_utf8_lossy(bytes)))?;
        let (first, lines) = text.split_once('\n').ok_or_else(|| error(1, "a line `batch`", text))?;
        let mut fields = first.split('\t');
        let name = fields.next().unwrap_or_default();
        if name != "batch" {
            return Err(error(1, "`batch`", name));
        }
        // A number that the lines cannot hold is not to reserve memory.
        let mut number = |field, max, expected| {
            let text = fields.next().unwrap_or_default();
            whole(text).filter(|number| *number <= max).ok_or_else(|| error(field, expected, text))
        };
        let vms = number(2, lines.len() / VM_BYTES_MIN, "the number of VMs")?;
        let for_pairs = lines.len() - vms * VM_BYTES_MIN;
        let pairs = number(3, for_pairs / PAIR_BYTES_MIN, "the number of metadata pairs")?;
        if let Some(more) = fields.next() {
            return Err(error(4, "the end of the line", more));
        }
        Ok(Self { vms, pairs, lines })
    }

    /// Takes the fields of all VMs out of the lines.
    ///
    /// # Errors
    ///
    /// At the first field that is not as it should be, and if there are not as many VMs and pairs as the first line says.
    pub fn parse(
        self,
        vms: &mut impl Extend<VmRequest<'b>>,
        pairs: &mut impl Extend<(&'b str, &'b str)>,
    ) -> Result<(), RequestError> {
        let mut rest = self.lines;
        let mut pairs_seen = 0;
        for at in 0..self.vms {
            let line = at + 2;
            let (this, next) = rest.split_once('\n').ok_or_else(|| RequestError::new(line, 1, "a VM", rest))?;
            let mut fields = Fields { line, field: 0, split: this.split('\t') };
            let vm = fields.vm(pairs_seen, pairs)?;
            pairs_seen = vm.pairs.end;
            vms.extend(Some(vm));
            rest = next;
        }
        let line = self.vms + 2;
        if !rest.is_empty() {
            return Err(RequestError::new(line, 1, "the end of the request", rest));
        }
        if pairs_seen != self.pairs {
            let expected = "as many metadata pairs as the first line says";
            return Err(RequestError::new(line, 1, expected, &pairs_seen.to_string()));
        }
        Ok(())
    }
}

/// The fields of one line, with the place for errors.
struct Fields<'b> {
    line: usize,
    field: usize,
    split: std::str::Split<'b, char>,
}

impl<'b> Fields<'b> {
    fn vm(
        &mut self,
        pairs_before: usize,
        pairs: &mut impl Extend<(&'b str, &'b str)>,
    ) -> Result<VmRequest<'b>, RequestError> {
        let id = self.next("32 hex digits", hex)?;
        let name = self.next("a name", Some)?;
        let config_path = self.next("a config path", Some)?;
        let tenant = self.next("a tenant", Some)?;
        let cpu_milli = self.next("thousandths of a core", whole)?;
        let memory_mib = self.next("memory in MiB", whole)?;
        let count = self.next("a number of GPUs", whole)?;
        let milli = self.next("thousandths of a GPU", whole)?;
        let gpu_spec = self.next("GPU models", Some)?;
        let qos = self.next("LS, Guaranteed, Burstable or BE", Qos::from_name)?;
        let ip = self.next("an IP address", |text| IpAddr::from_str(text).ok())?;
        let from_seconds = self.next("seconds", whole)?;
        let until_seconds = self.next("seconds or -", |text| match text {
            "-" => Some(None),
            text => whole(text).map(Some),
        })?;
        let mut end = pairs_before;
        while let Some(text) = self.split.next() {
            self.field += 1;
            let pair = text.split_once('=').ok_or_else(|| self.error("key=value", text))?;
            end += 1;
            pairs.extend(Some(pair));
        }
        Ok(VmRequest {
            id,
            lifetime: Lifetime { from_seconds, until_seconds },
            spec: VmSpec {
                name,
                config_path,
                tenant,
                gpu_spec,
                resources: Resources { cpu_milli, memory_mib, gpus: GpuRequest { count, milli } },
                ip,
                qos,
                ..VmSpec::default()
            },
            pairs: pairs_before..end,
        })
    }

    fn next<T>(&mut self, expected: &'static str, read: impl FnOnce(&'b str) -> Option<T>) -> Result<T, RequestError> {
        self.field += 1;
        let text = self.split.next();
        text.and_then(read).ok_or_else(|| self.error(expected, text.unwrap_or_default()))
    }

    #[cold]
    fn error(&self, expected: &'static str, found: &str) -> RequestError {
        RequestError::new(self.line, self.field, expected, found)
    }
}

/// A whole number without sign or leading zeros.
pub(crate) fn whole<T: FromStr>(text: &str) -> Option<T> {
    match text.as_bytes() {
        [b'0'] | [b'1'..=b'9', ..] => text.parse().ok(),
        _ => None,
    }
}

/// Enough of a text to recognise it.
pub(crate) fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn hex(text: &str) -> Option<ProposalId> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(ProposalId(id))
}
