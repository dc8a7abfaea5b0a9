//! The generated part of the README: the targets with what was measured of them, then every group.

use std::fmt::Write as _;

use super::plots;
use super::printed::Printed;
use super::rows::{Figures, Measured, Range};
use super::targets::{self, Bound, Over, Target};
use crate::contest::Role;

pub(super) fn section(figures: &Figures) -> String {
    let mut out = String::new();
    let Figures { machine, command, runs, rounds, .. } = figures;
    put(
        &mut out,
        format_args!(
            "{machine}. By `{command}`: each group in {runs} processes of its own, {rounds} rounds each; the median over the processes, and the least and greatest of them.\n"
        ),
    );
    targets_table(&mut out, figures);
    for name in plots::names(&figures.system) {
        put(&mut out, format_args!("![{name}](plots/{})", plots::file(name)));
    }
    faster_peers(&mut out, &figures.system);
    groups_tables(&mut out, &figures.system);
    for Printed { command, text, .. } in &figures.printed {
        put(
            &mut out,
            format_args!(
                "\n### `{command}`\n\n{}",
                format!("\n{}", text.trim()).replace("\n### ", "\n#### ").trim_start()
            ),
        );
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// A line.
fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(out, "{line}").expect("a String takes all text");
}

fn targets_table(out: &mut String, figures: &Figures) {
    let groups = targets::ALL.iter().filter_map(|target| target_line(figures, target));
    let printed = targets::PRINTED.iter().filter_map(|target| printed_line(&figures.printed, target));
    let lines: Vec<Line> = groups.chain(printed).collect();
    if lines.is_empty() {
        return;
    }
    let met = lines.iter().filter(|line| line.met).count();
    put(out, format_args!("### Every target, its figure, its command\n"));
    put(
        out,
        format_args!(
            "{met} met, {} missed. The command is `cargo run --release -p benches --bin` and what the last column says, or `cargo bench -p benches --bench tracking`.\n",
            lines.len() - met
        ),
    );
    put(
        out,
        format_args!(
            "| what | over | measured | of the processes | target | | command |\n|---|---|---:|---:|---:|---|---|"
        ),
    );
    for Line { text, .. } in lines {
        put(out, format_args!("{text}"));
    }
    out.push('\n');
}

/// A target's row, and whether it is met.
struct Line {
    met: bool,
    text: String,
}

fn target_line(figures: &Figures, target: &Target) -> Option<Line> {
    let measured = if target.under_mimalloc { &figures.mimalloc } else { &figures.system };
    let Target { what, group, of: (name, threads), ref over, bound, .. } = *target;
    let over_one = |other: &str| measured.ratio(group, (name, threads), (other, threads));
    let (other, ratio) = match *over {
        Over::BestPeer | Over::BestPeerBut(_) => {
            let but = if let Over::BestPeerBut(name) = *over { name } else { "" };
            let best = measured.best_but(group, Role::Peer, threads, but)?;
            (format!("the best peer, {best}"), over_one(best)?)
        }
        Over::BestOf(names) => {
            let best = measured.best_of(group, names, threads)?;
            (best.to_owned(), over_one(best)?)
        }
        Over::Named(other) => (other.to_owned(), over_one(other)?),
        Over::Time => (String::new(), measured.time(group, name, threads)?),
        Over::OneThread(control) => {
            let own = measured.ratio(group, (name, threads), (name, 1))?;
            let its = measured.ratio(group, (control, threads), (control, 1))?.median;
            let by_control = Range { least: own.least / its, median: own.median / its, most: own.most / its };
            (format!("itself, by the same of {control}"), by_control)
        }
    };
    let range = if let Bound::Faster(_) = bound { ratio.inverse() } else { ratio };
    let unit = if let Over::Time = *over { " ns" } else { "" };
    let program = if target.under_mimalloc { "ratios_mimalloc" } else { "ratios" };
    let verdict = Verdict::of(range.median, bound, unit);
    let [least, most] = [range.least, range.most].map(short);
    let Verdict { met, measured, bound, word } = verdict;
    let quoted = if group.contains(' ') { format!("'{group}'") } else { group.to_owned() };
    let text =
        format!("| {what} | {other} | {measured} | {least} to {most} | {bound} | {word} | `{program} -- {quoted}` |");
    Some(Line { met, text })
}

fn printed_line(printed: &[Printed], target: &targets::Printed) -> Option<Line> {
    let targets::Printed { what, program, table, row, column, over, bound, unit } = *target;
    let printed = printed.iter().find(|one| one.program == program)?;
    let own = printed.cell(table, row, column)?;
    let others = over.iter().filter_map(|other| Some((*other, printed.cell(table, other, column)?)));
    let least = others.min_by(|a, b| a.1.total_cmp(&b.1));
    let ratio = own / least.map_or(1.0, |(_, figure)| figure);
    let figure = if let Bound::Faster(_) = bound { ratio.recip() } else { ratio };
    let Verdict { met, measured, bound, word } = Verdict::of(figure, bound, unit);
    let other = least.map_or("", |(other, _)| other);
    Some(Line { met, text: format!("| {what} | {other} | {measured} | | {bound} | {word} | `{program}` |") })
}

/// A figure beside its bound, in words.
struct Verdict {
    met: bool,
    measured: String,
    bound: f64,
    word: &'static str,
}

impl Verdict {
    fn of(figure: f64, bound: Bound, unit: &str) -> Self {
        let (met, bound, unit) = match bound {
            Bound::AtMost(most) => (figure <= most, most, unit),
            Bound::Faster(least) => (figure >= least, least, " times faster"),
        };
        // What is rounded to its bound would not say which side of it it lies on.
        let figure = if short(figure) == short(bound) { format!("{figure:.3}") } else { short(figure) };
        let word = if met { "met" } else { "**missed**" };
        Self { met, measured: format!("{figure}{unit}"), bound, word }
    }
}

/// Every group in which a peer takes less time.
fn faster_peers(out: &mut String, measured: &Measured) {
    let all = measured.groups().into_iter().flat_map(|group| [(group, 1), (group, 2)]);
    let mut lost = all.filter_map(|(group, threads)| lost_line(measured, group, threads)).peekable();
    if lost.peek().is_none() {
        return;
    }
    put(out, format_args!("\n### Where a peer is faster\n\n| group | ours | the fastest peer | its time over ours |"));
    put(out, format_args!("|---|---|---|---:|"));
    for line in lost {
        put(out, format_args!("{line}"));
    }
}

fn lost_line(measured: &Measured, group: &str, threads: usize) -> Option<String> {
    let ours = measured.contenders(group, threads).into_iter().find(|(_, role)| *role == Role::Ours)?.0;
    let best = measured.best(group, Role::Peer, threads)?;
    let ratio = short(measured.ratio(group, (best, threads), (ours, threads))?.median);
    (ratio.starts_with("0.")).then(|| format!("| `{group}`{} | {ours} | {best} | {ratio} |", on(threads)))
}

fn on(threads: usize) -> &'static str {
    if threads == 1 { "" } else { ", 2 threads" }
}

fn groups_tables(out: &mut String, measured: &Measured) {
    let mut areas: Vec<(&str, Vec<&str>)> = Vec::new();
    for group in measured.groups() {
        let area = group.split('/').next().unwrap_or(group);
        match areas.last_mut().filter(|(last, _)| *last == area) {
            Some((_, groups)) => groups.push(group),
            None => areas.push((area, vec![group])),
        }
    }
    for (area, groups) in areas {
        put(
            out,
            format_args!(
                "\n### {area}\n\n| group | ours | ns | best peer | its time over ours | limit | its time over ours |"
            ),
        );
        put(out, format_args!("|---|---|---:|---|---:|---|---:|"));
        let each = || groups.iter().flat_map(|group| [(*group, 1), (*group, 2)]);
        each()
            .filter_map(|(group, threads)| group_line(measured, group, threads))
            .for_each(|line| put(out, format_args!("{line}")));
        put(
            out,
            format_args!("\n<details><summary>Every contender's time over ours</summary>\n\n| group | |\n|---|---|"),
        );
        each()
            .filter_map(|(group, threads)| all_line(measured, group, threads))
            .for_each(|line| put(out, format_args!("{line}")));
        put(out, format_args!("\n</details>"));
    }
}

/// All that stand beside ours, fastest first.
fn all_line(measured: &Measured, group: &str, threads: usize) -> Option<String> {
    let contenders = measured.contenders(group, threads);
    let ours = contenders.iter().find(|(_, role)| *role == Role::Ours)?.0;
    let ratio = |name| Some((name, measured.ratio(group, (name, threads), (ours, threads))?.median));
    let mut others: Vec<(&str, f64)> =
        contenders.iter().filter(|(name, _)| *name != ours).filter_map(|(name, _)| ratio(*name)).collect();
    others.sort_by(|a, b| a.1.total_cmp(&b.1));
    let others: Vec<String> = others.into_iter().map(|(name, ratio)| format!("{name} {}", short(ratio))).collect();
    (!others.is_empty()).then(|| format!("| `{group}`{} | {} |", on(threads), others.join("; ")))
}

fn group_line(measured: &Measured, group: &str, threads: usize) -> Option<String> {
    let ours = measured.contenders(group, threads).into_iter().find(|(_, role)| *role == Role::Ours)?.0;
    let time = short(measured.time(group, ours, threads)?.median);
    let other = |role| {
        let best = measured.best(group, role, threads)?;
        Some(format!("{best} | {}", short(measured.ratio(group, (best, threads), (ours, threads))?.median)))
    };
    let [peer, limit] = [Role::Peer, Role::Limit].map(|role| other(role).unwrap_or_else(|| " | ".to_owned()));
    let on = on(threads);
    Some(format!("| `{group}`{on} | {ours} | {time} | {peer} | {limit} |"))
}

/// Three digits, and no more of them than mean something.
pub(super) fn short(figure: f64) -> String {
    match figure {
        _ if figure >= 100.0 => format!("{figure:.0}"),
        _ if figure >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::read;
    use super::*;
    use crate::ratios;

    fn figures(rows: &str) -> Figures {
        let [system, mimalloc] = [rows, ""].map(|text| Measured::new(read(text).unwrap()));
        let printed = Printed {
            program: "names_memory",
            command: "names",
            text: "| interner | frees | a | b |\n|---|---|---|---|\n| blixard StringPool | yes | 32.0 | 34.0 |\n| string_cache | yes | 64.0 | 70.0 |\n"
                .to_owned(),
        };
        let (machine, command) = ("a machine".to_owned(), "a command".to_owned());
        Figures { machine, command, runs: 3, rounds: 31, system, mimalloc, printed: vec![printed] }
    }

    #[test]
    fn a_target_is_met_or_missed_by_its_median() {
        let told = section(&figures(
            "bump/u64\tours\t1\tblixard Arena\t1.0\t1.2\t1.0\nbump/u64\tpeer\t1\tbumpalo\t1.0\t1.0\t1.0\n\
             shared/u64\tours\t1\tblixard SharedArena\t1.0\nshared/u64\tpeer\t1\tMutex<Bump>\t4.5",
        ));
        for line in [
            "| bump a `u64` | the best peer, bumpalo | 1.00 | 1.00 to 1.00 | 1.05 | met | `ratios -- bump/u64` |",
            "| the best peer, Mutex<Bump> | 4.50 times faster | 4.50 to 4.50 | 5 | **missed** |",
            "| bytes per name beside its text, a million names | string_cache | 0.50 | | 1 | met | `names_memory` |",
            "| the same, the tables at their emptiest |  | 34.0 bytes | | 36 | met | `names_memory` |",
            "3 met, 1 missed.",
        ] {
            assert!(told.contains(line), "{line}: {told}");
        }
        assert!(told.contains("| `bump/u64` | blixard Arena | 1.00 | bumpalo | 1.00 |  |  |"), "{told}");
    }

    #[test]
    fn a_group_in_which_a_peer_is_faster_is_listed_and_every_contender_too() {
        let told = section(&figures(
            "g/w\tours\t1\tours\t2.0\ng/w\tpeer\t1\tone\t3.0\ng/w\tpeer\t1\tother\t1.0\ng/w\tours\t2\tours\t2.0\ng/w\tpeer\t2\tone\t2.0",
        ));
        let (_, lost) = told.split_once("### Where a peer is faster").expect("one is");
        let (lost, _) = lost.split_once("### g").expect("an area");
        assert!(lost.contains("| `g/w` | ours | other | 0.50 |") && !lost.contains("2 threads"), "{told}");
        assert!(told.contains("| `g/w` | other 0.50; one 1.50 |\n| `g/w`, 2 threads | one 1.00 |"), "{told}");
    }

    #[test]
    fn what_is_rounded_to_its_bound_has_a_third_decimal() {
        let told = |figure, bound| Verdict::of(figure, bound, "").measured;
        assert_eq!(told(1.2004, Bound::AtMost(1.2)), "1.200");
        assert_eq!(told(1.2041, Bound::AtMost(1.2)), "1.204");
        assert_eq!(told(1.206, Bound::AtMost(1.2)), "1.21");
        assert_eq!(told(4.998, Bound::Faster(5.0)), "4.998 times faster");
    }

    #[test]
    fn a_peer_is_taken_in_its_fastest_form() {
        let told = section(&figures(
            "intern/fill-10\tours\t1\tblixard ArenaInterner\t2.0\nintern/fill-10\tpeer\t1\tlasso Rodeo\t4.0\n\
             intern/fill-10\tpeer\t1\tlasso Rodeo, cleared\t2.2",
        ));
        assert!(told.contains("| lasso Rodeo, cleared | 0.91 | 0.91 to 0.91 | 0.8 | **missed** |"), "{told}");
    }

    #[test]
    fn a_second_thread_is_held_against_a_control() {
        let told = section(&figures(
            "shared/u64\tours\t1\tblixard SharedArena\t1.0\nshared/u64\tcontrol\t1\tbumpalo, one per thread\t1.0\n\
             shared/u64\tours\t2\tblixard SharedArena\t3.0\nshared/u64\tcontrol\t2\tbumpalo, one per thread\t2.0",
        ));
        assert!(
            told.contains("itself, by the same of bumpalo, one per thread | 1.50 | 1.50 to 1.50 | 1.1 | **missed** |"),
            "{told}"
        );
    }

    #[test]
    fn every_target_names_contenders_that_there_are() {
        for Target { group, of, over, .. } in targets::ALL {
            let contenders = ratios::contenders(group).unwrap_or_else(|| panic!("no group {group}"));
            let there = |name: &str, threads| contenders.iter().any(|one| *one == (name.to_owned(), threads));
            assert!(there(of.0, of.1), "{group}: {of:?}");
            match *over {
                Over::BestPeer | Over::Time => {}
                Over::BestOf(names) => assert!(names.iter().all(|name| there(name, of.1)), "{group}: {names:?}"),
                Over::BestPeerBut(name) | Over::Named(name) => assert!(there(name, of.1), "{group}: {name}"),
                Over::OneThread(name) => assert!(there(name, of.1) && there(name, 1), "{group}: {name}"),
            }
        }
    }
}
