//! The claims' replays: they did the work that they count, each of its own kind, the same in every form.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without may panic")]

mod common;

use profiling::claims::{self, Claim, Count};
use profiling::counting::{CountingAllocator, CountingProbe};
use profiling::input;
use profiling::report;
use profiling::request::{Request, VmRequest};
use profiling::strategy::Name;
use profiling::worker::Job;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const REQUESTS: usize = 2_000;

fn count(job: &Job, claim: Claim, form: Name) -> Count {
    claims::count(&Job { strategy: form, ..job.clone() }, claim, &CountingProbe::default()).unwrap()
}

fn counts(job: &Job, claim: Claim) -> [u64; 3] {
    let counts = Claim::FORMS.map(|form| count(job, claim, form));
    assert_eq!(counts[0].checksum, counts[1].checksum, "{claim}, pooled");
    assert_eq!(counts[0].checksum, counts[2].checksum, "{claim}, arena");
    counts.map(|count| count.operations.unwrap())
}

/// What all requests of a job add up to, by `of` of each VM and its pairs.
fn sum(job: &Job, of: impl Fn(&VmRequest<'_>, &[(&str, &str)]) -> usize) -> u64 {
    let per_request = job.pass.iter().map(|bytes| {
        let (mut vms, mut pairs) = (Vec::new(), Vec::new());
        Request::open(bytes).unwrap().parse(&mut vms, &mut pairs).unwrap();
        vms.iter().map(|vm| of(vm, &pairs[vm.pairs.clone()])).sum::<usize>()
    });
    let per_request: Vec<usize> = per_request.collect();
    (0..job.requests).map(|request| per_request[request % per_request.len()]).sum::<usize>() as u64
}

#[test]
fn each_kind_is_counted_and_arenas_save_nearly_all_of_it() {
    let job = common::small_job(REQUESTS);
    let requests = REQUESTS as u64;
    let vms = sum(&job, |_, _| 1);
    let texts = sum(&job, |vm, pairs| {
        let own = [vm.spec.name, vm.spec.config_path, vm.spec.tenant, vm.spec.gpu_spec];
        own.into_iter()
            .chain(pairs.iter().flat_map(|&(key, value)| [key, value]))
            .filter(|text| !text.is_empty())
            .count()
    });
    let maps = sum(&job, |_, pairs| usize::from(!pairs.is_empty()));
    for claim in Claim::ALL {
        let counts = counts(&job, claim);
        let [heap, pooled, arena] = counts;
        match claim {
            // A block for each text that is not empty, one and perhaps a second for the reason.
            Claim::Strings => assert!((texts + vms..=texts + 2 * vms).contains(&heap), "{heap} for {texts} texts"),
            Claim::Objects => assert_eq!(heap, 2 * vms),
            // A node for a map of up to eleven pairs, three for twelve.
            Claim::Collections => {
                let lists = 4 * requests;
                assert!((maps + lists..=3 * maps + lists).contains(&heap), "{heap} for {maps} maps and {lists} lists");
            }
            // Two configs, four values, a clone and a drop; pooled one value; in an arena one count.
            Claim::Arcs => assert_eq!(counts, [16 * vms, 4 * vms, 2 * requests]),
        }
        let claim = report::Claim::new(claim.as_str(), claim.hoped_percent(), requests, counts);
        assert!(claim.arena_percent >= 99.0 && arena > 0, "{claim:?}");
        assert!(claim.pooled_percent > 50.0 && pooled > 0, "{claim:?}");
    }
}

#[test]
fn the_real_trace_bears_the_claims_out() {
    let Some((pods, _)) = common::real_trace() else { return };
    let pass = input::requests(&input::csv::tasks(&pods).unwrap(), 16, 1);
    let job = Job { requests: pass.len(), pass, ..common::small_job(1) };
    for claim in Claim::ALL {
        let counts = counts(&job, claim);
        let claim = report::Claim::new(claim.as_str(), claim.hoped_percent(), job.requests as u64, counts);
        assert!(claim.arena_percent >= 99.0 && claim.pooled_percent < claim.arena_percent, "{claim:?}");
    }
}

#[test]
fn the_checksum_is_of_the_kind_that_is_counted() {
    let job = common::small_job(13);
    let text = String::from_utf8(job.pass[0].clone()).unwrap();
    let line = text.lines().nth(1).unwrap();
    let fields: Vec<&str> = line.split('\t').collect();
    let (id, tenant, cpu_milli) = (fields[0], fields[3], fields[4]);
    let other_digit = if id.ends_with('0') { "1" } else { "0" };
    let changes = [
        (line.replacen(&format!("\t{tenant}\t"), "\tanother\t", 1), [true, false, false, true]),
        (line.replacen(id, &format!("{}{other_digit}", &id[..31]), 1), [false, true, false, false]),
        (line.replacen(&format!("\t{cpu_milli}\t"), "\t77777\t", 1), [false, true, false, true]),
    ];
    for (changed, differs) in changes {
        let mut other = job.clone();
        other.pass[0] = text.replacen(line, &changed, 1).into_bytes();
        for (claim, differs) in Claim::ALL.into_iter().zip(differs) {
            for form in Claim::FORMS {
                let same = count(&job, claim, form).checksum == count(&other, claim, form).checksum;
                assert_eq!(same, !differs, "{claim}, {form}: {changed}");
            }
        }
    }
}

#[test]
fn metadata_is_in_strings_and_collections() {
    let job = common::small_job(13);
    let other = Job { pass: input::requests(&input::generate::tasks(200, 7), 16, 8), ..job.clone() };
    for claim in [Claim::Strings, Claim::Collections] {
        assert_ne!(count(&job, claim, Name::Heap).checksum, count(&other, claim, Name::Heap).checksum, "{claim}");
    }
}

#[test]
fn what_does_not_count_says_so() {
    let job = common::small_job(2);
    for claim in Claim::ALL {
        let count = claims::count(&job, claim, &()).unwrap();
        assert_eq!(count.operations.is_some(), claim == Claim::Arcs, "an `Arc` counts itself");
    }
}

#[test]
#[should_panic(expected = "shared-arena is no form of a claim")]
fn other_strategies_are_no_forms() {
    let job = Job { strategy: Name::SharedArena, ..common::small_job(1) };
    drop(claims::count(&job, Claim::Strings, &()));
}
