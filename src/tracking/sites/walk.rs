//! Walks the calling thread's stack: the return addresses, innermost first, and their hash.
//!
//! Stands at the beginning of `sites::allocated`. On x86-64 Linux it follows the unwind tables that every Rust program carries, as
//! a panic does, but remembers for each address the rule it found: where the caller's stack begins and where its frame
//! pointer lies, in one word of a static cache that all threads share. A frame whose rule is known costs a multiplication, a
//! look into the cache and two loads, so nothing has to be compiled with frame pointers, and none is trusted. Elsewhere the
//! system's unwinder is asked each time, which costs microseconds.
//!
//! Invariants: nothing here allocates or takes a lock. The tables are those of the objects loaded when sites were
//! turned on, which stay loaded as a rule; a walk ends at code that was loaded later, that has no tables, or
//! whose rule is none of the usual.
#![expect(unsafe_code, reason = "reads the stack, and the unwind tables in memory")]

/// Frames kept per stack, at most.
pub(in crate::tracking) const FRAMES_MAX: usize = 32;

/// A walked stack.
#[derive(Clone, Copy)]
pub(super) struct Stack<'a> {
    pub(super) frames: &'a [usize],
    pub(super) hash: u64,
}

/// Takes one more frame into a hash of those before.
#[inline(always)]
fn hash_with(hash: u64, frame: usize) -> u64 {
    (hash.rotate_left(23) ^ frame as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// So that stacks which differ in few bits differ in the high ones.
#[inline(always)]
const fn finish_hash(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 29)
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) use tables::{prepare, stack};

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(super) use system::{prepare, stack};

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod system {
    use super::{Stack, finish_hash, hash_with};

    pub(in super::super) fn prepare() {}

    pub(in super::super) fn stack(frames: &mut [usize]) -> Stack<'_> {
        let (mut len, mut hash) = (0, 0);
        // SAFETY: the unwinder itself is safe from several threads at once on these systems; the lock that the safe form
        // takes guards a symbol library that is not used here.
        unsafe {
            backtrace::trace_unsynchronized(|frame| {
                frames[len] = frame.ip().addr();
                hash = hash_with(hash, frames[len]);
                len += 1;
                len < frames.len()
            });
        }
        Stack { frames: &frames[..len], hash: finish_hash(hash) }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tables {
    use super::super::rules::{self, Rule, Rules};
    use super::{Stack, finish_hash, hash_with};
    use crate::sync::{AtomicU64, OnceLock};
    use gimli::{
        BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Pointer, RegisterRule, UnwindContext,
        UnwindContextStorage, UnwindSection as _, UnwindTableRow, X86_64,
    };
    use std::ffi::{c_int, c_void};
    use std::ops::Range;

    static RULES: Rules = Rules([const { AtomicU64::new(0) }; rules::PLACES]);

    #[cold]
    #[inline(never)]
    fn learn(address: usize) -> Rule {
        if address >> 48 == 0 { look_up(address) } else { None }.unwrap_or(Rule::END)
    }

    /// Return addresses of the calling function's callers.
    #[inline(always)]
    pub(in super::super) fn stack(frames: &mut [usize]) -> Stack<'_> {
        let (mut address, mut stack_pointer, mut frame_pointer): (usize, usize, usize);
        // SAFETY: reads three registers.
        unsafe {
            std::arch::asm!(
                "lea {address}, [rip]",
                "mov {stack_pointer}, rsp",
                "mov {frame_pointer}, rbp",
                address = out(reg) address,
                stack_pointer = out(reg) stack_pointer,
                frame_pointer = out(reg) frame_pointer,
                options(nomem, nostack, preserves_flags),
            );
        }
        let (mut len, mut hash) = (0, 0);
        while let Some(place) = frames.get_mut(len) {
            let rule = RULES.rule(address, learn);
            if rule.ends() {
                break;
            }
            let cfa = rule.cfa() + if rule.base_is_frame_pointer() { frame_pointer } else { stack_pointer };
            // Callers lie above, by less than the largest stack anyone has.
            if cfa <= stack_pointer || !cfa.is_multiple_of(8) || cfa - stack_pointer > 1 << 30 {
                break;
            }
            if rule.frame_pointer() != 0 {
                // SAFETY: the function's unwind table says that its caller's frame pointer was saved here; that its frame
                // is there is known from the address that led to it. A panic's unwinding reads the same words.
                frame_pointer =
                    unsafe { std::ptr::with_exposed_provenance::<usize>(cfa - rule.frame_pointer()).read() };
            }
            // SAFETY: as above, for the return address, which lies right below the caller's frame.
            address = unsafe { std::ptr::with_exposed_provenance::<usize>(cfa - 8).read() };
            stack_pointer = cfa;
            if address == 0 {
                break;
            }
            *place = address;
            hash = hash_with(hash, address);
            len += 1;
        }
        Stack { frames: &frames[..len], hash: finish_hash(hash) }
    }

    /// Code that was loaded when sites were turned on, with its unwind tables.
    struct Module {
        code: Range<usize>,
        /// `.eh_frame_hdr`: a sorted index of the tables.
        index: &'static [u8],
        /// `.eh_frame`, and what follows it in its segment.
        tables: &'static [u8],
    }

    static MODULES: OnceLock<Vec<Module>> = OnceLock::new();

    /// Finds the modules, outside of the hook.
    pub(in super::super) fn prepare() {
        MODULES.get_or_init(|| {
            let mut modules: Vec<Module> = Vec::new();
            // SAFETY: the callback gets this very vector, which outlives the call, and does not unwind (it allocates, at most).
            unsafe { libc::dl_iterate_phdr(Some(note_module), (&raw mut modules).cast()) };
            modules.sort_by_key(|module| module.code.start);
            modules
        });
    }

    /// For each loaded object.
    unsafe extern "C" fn note_module(info: *mut libc::dl_phdr_info, _: usize, modules: *mut c_void) -> c_int {
        // SAFETY: `dl_iterate_phdr` passes on what `prepare` gave it, and runs the callback before it returns.
        let modules = unsafe { &mut *modules.cast::<Vec<Module>>() };
        // SAFETY: `dl_iterate_phdr` passes a valid description.
        let info = unsafe { &*info };
        // SAFETY: the description holds this many headers.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        #[expect(clippy::cast_possible_truncation, reason = "64-bit, as this module is")]
        let range = |header: &libc::Elf64_Phdr| {
            let start = (info.dlpi_addr + header.p_vaddr) as usize;
            start..start + header.p_memsz as usize
        };
        let loaded = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let Some(index) = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME).map(range) else {
            return 0;
        };
        // SAFETY: the object is loaded and has this segment; see the module's words on code that goes away.
        let index = unsafe { bytes(index) };
        let Some(tables) = eh_frame(index) else { return 0 };
        let Some(segment) = loaded().map(range).find(|segment| segment.contains(&tables)) else { return 0 };
        // SAFETY: the rest of a loaded segment.
        let tables = unsafe { bytes(tables..segment.end) };
        for header in loaded().filter(|header| header.p_flags & libc::PF_X != 0) {
            modules.push(Module { code: range(header), index, tables });
        }
        0
    }

    /// # Safety
    /// The range is mapped and readable, and stays so.
    unsafe fn bytes(range: Range<usize>) -> &'static [u8] {
        // SAFETY: as the caller promises.
        unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(range.start), range.len()) }
    }

    fn bases(index: &[u8]) -> BaseAddresses {
        BaseAddresses::default().set_eh_frame_hdr(index.as_ptr().addr() as u64)
    }

    /// Where `.eh_frame` begins, as its index says.
    fn eh_frame(index: &[u8]) -> Option<usize> {
        let header = EhFrameHdr::new(index, LittleEndian).parse(&bases(index), 8).ok()?;
        match header.eh_frame_ptr() {
            Pointer::Direct(address) => usize::try_from(address).ok(),
            Pointer::Indirect(_) => None,
        }
    }

    /// Room for a row of rules that lies on the stack: nothing is allocated.
    struct OnStack;

    impl UnwindContextStorage<usize> for OnStack {
        type Rules = [(gimli::Register, RegisterRule<usize>); 24];
        type Stack = [UnwindTableRow<usize, Self>; 3];
    }

    /// The rule at a return address, from the unwind tables.
    fn look_up(address: usize) -> Option<Rule> {
        // The call itself: what follows it may belong to another function.
        let address = address.checked_sub(1)?;
        let modules = MODULES.get()?;
        let at = modules.partition_point(|module| module.code.end <= address);
        let module = modules.get(at).filter(|module| module.code.contains(&address))?;
        let bases = bases(module.index).set_eh_frame(module.tables.as_ptr().addr() as u64);
        let header = EhFrameHdr::new(module.index, LittleEndian).parse(&bases, 8).ok()?;
        let tables: EhFrame<EndianSlice<'_, LittleEndian>> = EhFrame::new(module.tables, LittleEndian);
        let mut context = UnwindContext::<usize, OnStack>::new_in();
        let cie = EhFrame::cie_from_offset;
        let row = header.table()?.unwind_info_for_address(&tables, &bases, &mut context, address as u64, cie).ok()?;
        if row.register(X86_64::RA) != Some(RegisterRule::Offset(-8)) {
            return None;
        }
        let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else { return None };
        let frame_pointer = match row.register(X86_64::RBP) {
            None | Some(RegisterRule::SameValue) => None,
            Some(RegisterRule::Offset(offset)) => Some(offset),
            Some(_) => return None,
        };
        match register {
            X86_64::RSP => Rule::new(false, offset, frame_pointer),
            X86_64::RBP => Rule::new(true, offset, frame_pointer),
            _ => None,
        }
    }
}

#[cfg(all(test, not(blixard_loom)))]
mod tests {
    use super::*;

    /// Our walk and the system's unwinder, from one place.
    #[inline(never)]
    fn both() -> (Vec<usize>, Vec<usize>) {
        let mut frames = [0; FRAMES_MAX];
        let ours = stack(&mut frames).frames.to_vec();
        let mut theirs = Vec::new();
        // SAFETY: the lock of the safe form guards the resolving of symbols, which is not done here.
        unsafe {
            backtrace::trace_unsynchronized(|frame| {
                theirs.push(frame.ip().addr());
                true
            });
        }
        (ours, theirs)
    }

    #[inline(never)]
    fn deeper(depth: usize, pad: &mut [u8]) -> (Vec<usize>, Vec<usize>) {
        let mut local = [0_u8; 100];
        local[depth] = pad[0];
        let found = if depth == 0 { both() } else { deeper(depth - 1, &mut local) };
        pad[0] = std::hint::black_box(local[depth]);
        found
    }

    #[test]
    fn finds_what_the_unwinder_finds() {
        prepare();
        for depth in [0, 1, 7, 20, 60] {
            let (ours, theirs) = deeper(depth, &mut [0; 8]);
            assert!(ours.len() >= 8, "{depth}: {ours:?}");
            // Past the frames of the unwinder itself and the addresses inside of `both`, which differ.
            let begin = theirs.iter().position(|frame| *frame == ours[1]).unwrap();
            let same = ours[1..].iter().zip(&theirs[begin..]).take_while(|(a, b)| a == b).count();
            assert_eq!(same, ours.len() - 1, "{depth}: {ours:x?} {theirs:x?}");
            // The last frame of all, which calls nobody's caller, may be in one of them alone.
            assert!(ours.len() == FRAMES_MAX || theirs.len() - begin - same <= 1, "{depth}: {ours:x?} {theirs:x?}");
        }
    }

    #[test]
    fn from_a_callback_of_the_system_library() {
        extern "C" fn compare(_: *const libc::c_void, _: *const libc::c_void) -> libc::c_int {
            let mut frames = [0; FRAMES_MAX];
            let found = stack(&mut frames).frames.len();
            // Through `qsort`, into the test and its harness.
            assert!(found > 6, "{found} frames");
            0
        }
        prepare();
        let mut numbers = [3_u32, 1, 2];
        // SAFETY: three elements of four bytes, and a comparison that only looks at its own stack.
        unsafe { libc::qsort(numbers.as_mut_ptr().cast(), 3, 4, Some(compare)) };
    }
}
