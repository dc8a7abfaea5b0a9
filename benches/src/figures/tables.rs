//! The generated part of the README: the targets with what was measured of them, then every group.

use std::fmt::Write as _;

use super::plots;
use super::rows::{Figures, Measured, Range};
use super::targets::{self, Bound, Over, Target};
use crate::contest::Role;

pub(super) fn section(figures: &Figures) -> String {
    let mut out = String::new();
    let Figures { machine, runs, rounds, .. } = figures;
    put(
        &mut out,
        format_args!(
            "{machine}. Each group in {runs} processes of its own, {rounds} rounds each: the median over the processes, and the least and greatest of them.\n"
        ),
    );
    targets_table(&mut out, figures);
    for name in plots::names(&figures.system) {
        put(&mut out, format_args!("![{name}](plots/{})", plots::file(name)));
    }
    groups_tables(&mut out, &figures.system);
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// A line.
fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(out, "{line}").expect("a String takes all text");
}

fn targets_table(out: &mut String, figures: &Figures) {
    let mut lines = targets::ALL.iter().filter_map(|target| target_line(figures, target)).peekable();
    if lines.peek().is_none() {
        return;
    }
    put(out, format_args!("| what | over | measured | of the processes | target | |\n|---|---|---:|---:|---:|---|"));
    for line in lines {
        put(out, format_args!("{line}"));
    }
    out.push('\n');
}

fn target_line(figures: &Figures, target: &Target) -> Option<String> {
    let measured = if target.under_mimalloc { &figures.mimalloc } else { &figures.system };
    let Target { what, group, of: (name, threads), ref over, bound, .. } = *target;
    let (other, ratio) = match *over {
        Over::BestPeer | Over::BestPeerBut(_) => {
            let but = if let Over::BestPeerBut(name) = *over { name } else { "" };
            let best = measured.best_but(group, Role::Peer, threads, but)?;
            (format!("the best peer, {best}"), measured.ratio(group, (name, threads), (best, threads))?)
        }
        Over::Named(other) => (other.to_owned(), measured.ratio(group, (name, threads), (other, threads))?),
        Over::OneThread(control) => {
            let own = measured.ratio(group, (name, threads), (name, 1))?;
            let its = measured.ratio(group, (control, threads), (control, 1))?.median;
            let by_control = Range { least: own.least / its, median: own.median / its, most: own.most / its };
            (format!("itself, by the same of {control}"), by_control)
        }
    };
    let (range, met, bound, unit) = match bound {
        Bound::AtMost(most) => (ratio, ratio.median <= most, most, ""),
        Bound::Faster(least) => (ratio.inverse(), ratio.median.recip() >= least, least, " times faster"),
    };
    let verdict = if met { "met" } else { "**missed**" };
    let Range { least, median, most } = range;
    let [median, least, most] = [median, least, most].map(short);
    Some(format!("| {what} (`{group}`) | {other} | {median}{unit} | {least} to {most} | {bound} | {verdict} |"))
}

fn groups_tables(out: &mut String, measured: &Measured) {
    let mut area = "";
    for group in measured.groups() {
        let own = group.split('/').next().unwrap_or(group);
        if own != area {
            area = own;
            put(
                out,
                format_args!(
                    "\n### {area}\n\n| group | ours | ns | best peer | its time over ours | limit | its time over ours |"
                ),
            );
            put(out, format_args!("|---|---|---:|---|---:|---|---:|"));
        }
        for threads in [1, 2] {
            if let Some(line) = group_line(measured, group, threads) {
                put(out, format_args!("{line}"));
            }
        }
    }
}

fn group_line(measured: &Measured, group: &str, threads: usize) -> Option<String> {
    let ours = measured.contenders(group, threads).into_iter().find(|(_, role)| *role == Role::Ours)?.0;
    let time = short(measured.time(group, ours, threads)?.median);
    let other = |role| {
        let best = measured.best(group, role, threads)?;
        Some(format!("{best} | {}", short(measured.ratio(group, (best, threads), (ours, threads))?.median)))
    };
    let [peer, limit] = [Role::Peer, Role::Limit].map(|role| other(role).unwrap_or_else(|| " | ".to_owned()));
    let on = if threads == 1 { "" } else { ", 2 threads" };
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
        Figures { machine: "a machine".to_owned(), runs: 3, rounds: 31, system, mimalloc }
    }

    #[test]
    fn a_target_is_met_or_missed_by_its_median() {
        let told = section(&figures(
            "bump/u64\tours\t1\tblixard Arena\t1.0\t1.2\t1.0\nbump/u64\tpeer\t1\tbumpalo\t1.0\t1.0\t1.0\n\
             shared/u64\tours\t1\tblixard SharedArena\t1.0\nshared/u64\tpeer\t1\tMutex<Bump>\t4.5",
        ));
        assert!(
            told.contains("| bump a `u64` (`bump/u64`) | the best peer, bumpalo | 1.00 | 1.00 to 1.00 | 1.05 | met |"),
            "{told}"
        );
        assert!(told.contains("| Mutex<Bump> | 4.50 times faster | 4.50 to 4.50 | 5 | **missed** |"), "{told}");
        assert!(told.contains("| `bump/u64` | blixard Arena | 1.00 | bumpalo | 1.00 |  |  |"), "{told}");
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
                Over::BestPeer => {}
                Over::BestPeerBut(name) | Over::Named(name) => assert!(there(name, of.1), "{group}: {name}"),
                Over::OneThread(name) => assert!(there(name, of.1) && there(name, 1), "{group}: {name}"),
            }
        }
    }
}
