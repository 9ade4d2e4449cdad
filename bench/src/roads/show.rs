//! The roads' figures as tables for a note: what each server needs, and ours by each peer's of the same round.

use serde::Serialize;

use super::{Measured, Measurement, Mode};
use crate::report;
use crate::stats::Spread;

/// Ours by a peer's, round by round.
#[derive(Debug, Serialize)]
struct Ratio {
    peer: String,
    mode: Mode,
    connections: u16,
    cpu_s_per_1000: Option<Spread>,
    requests_per_s: Option<Spread>,
}

#[derive(Debug, Serialize)]
struct Road<'a> {
    #[serde(flatten)]
    measured: &'a Measured,
    ratios: Vec<Ratio>,
}

pub(super) fn show(measured: &[Measured], json: bool) -> anyhow::Result<()> {
    let roads: Vec<_> = measured.iter().map(|measured| Road { measured, ratios: ratios(measured) }).collect();
    if json {
        return report::json(&roads);
    }
    report::line(
        "CPU seconds of the server's processes for 1000 requests. Median (least–most) of the rounds; ratios are ours by the peer's, round by round.\n",
    )?;
    summary(&roads)?;
    for road in &roads {
        table(road)?;
    }
    Ok(())
}

/// The modes and numbers of connections that were measured, in their order.
fn settings(measured: &Measured) -> Vec<(Mode, u16)> {
    let mut settings = Vec::new();
    for mode in [Mode::First, Mode::Cold, Mode::Hot] {
        for measurement in measured.measurements.iter().filter(|measurement| measurement.mode == mode) {
            if !settings.contains(&(mode, measurement.connections)) {
                settings.push((mode, measurement.connections));
            }
        }
    }
    settings
}

fn of<'a>(
    measured: &'a Measured,
    server: &'a str,
    (mode, connections): (Mode, u16),
) -> impl Iterator<Item = &'a Measurement> + 'a {
    let mine = move |m: &&Measurement| m.server == server && m.mode == mode && m.connections == connections;
    measured.measurements.iter().filter(mine)
}

fn ratios(measured: &Measured) -> Vec<Ratio> {
    let Some((ours, peers)) = measured.servers.split_first() else { return Vec::new() };
    let settings = settings(measured);
    let ratio = |peer: &String, setting: (Mode, u16)| {
        let spread = |figure: fn(&Measurement) -> f64| {
            let pairs = of(measured, ours, setting).filter_map(|ours| {
                let theirs = of(measured, peer, setting).find(|theirs| theirs.round == ours.round)?;
                Some((figure(ours), figure(theirs)))
            });
            Spread::of_ratios(pairs)
        };
        Ratio {
            peer: peer.clone(),
            mode: setting.0,
            connections: setting.1,
            cpu_s_per_1000: spread(|m| m.cpu_s_per_1000),
            requests_per_s: spread(|m| m.requests_per_s),
        }
    };
    settings.iter().flat_map(|&setting| peers.iter().map(move |peer| ratio(peer, setting))).collect()
}

/// All roads in one table: the CPU for cold requests over the connections in the middle.
fn summary(roads: &[Road]) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for Road { measured, ratios } in roads {
        let cold: Vec<_> = settings(measured).into_iter().filter(|(mode, _)| *mode == Mode::Cold).collect();
        let Some(&setting) = cold.get(cold.len() / 2) else { continue };
        let cpu = |server: &str| Spread::of(of(measured, server, setting).map(|m| m.cpu_s_per_1000));
        let Some((ours, peers)) = measured.servers.split_first() else { continue };
        let ours = cpu(ours).map(|spread| significant(&spread)).unwrap_or_default();
        let mut row = vec![measured.name.clone(), setting.1.to_string(), ours, String::new(), String::new()];
        if peers.is_empty() {
            row.push(String::new());
            rows.push(row.clone());
        }
        for peer in peers {
            let ratio = ratios.iter().find(|r| &r.peer == peer && (r.mode, r.connections) == setting);
            let spread = ratio.and_then(|ratio| ratio.cpu_s_per_1000);
            row.truncate(3);
            row.push(peer.clone());
            row.push(cpu(peer).map(|spread| significant(&spread)).unwrap_or_default());
            row.push(spread.map(|spread| significant(&spread)).unwrap_or_default());
            rows.push(row.clone());
        }
    }
    report::line("## CPU s/1000, cold\n")?;
    report::table(&["road", "connections", "ours", "peer", "peer's", "ours / peer"], rows)
}

fn table(Road { measured, ratios }: &Road) -> anyhow::Result<()> {
    report::line(&format!("\n## {}: {}\n\nSlide: {}.\n", measured.name, measured.title, measured.slide))?;
    let mut rows = Vec::new();
    for setting in settings(measured) {
        let mode = match setting.0 {
            Mode::First => "first",
            Mode::Cold => "cold",
            Mode::Hot => "hot",
        };
        let begin = |name: String| vec![name, mode.to_owned(), setting.1.to_string()];
        for server in &measured.servers {
            let spread = |figure: fn(&Measurement) -> f64| {
                let spread = Spread::of(of(measured, server, setting).map(figure));
                spread.map(|spread| significant(&spread)).unwrap_or_default()
            };
            let middle = |figure: fn(&Measurement) -> f64| {
                let spread = Spread::of(of(measured, server, setting).map(figure));
                spread.map(|spread| format!("{:.1}", spread.median)).unwrap_or_default()
            };
            let mut row = begin(server.clone());
            row.extend([spread(|m| m.cpu_s_per_1000), spread(|m| m.requests_per_s)]);
            row.extend([spread(|m| m.p50_ms), spread(|m| m.p99_ms)]);
            row.extend([middle(|m| m.answer_bytes_mean / 1e3), middle(|m| m.resident_mb)]);
            rows.push(row);
        }
        for ratio in ratios.iter().filter(|ratio| (ratio.mode, ratio.connections) == setting) {
            let mut row = begin(format!("ours / {}", ratio.peer));
            row.extend(
                [ratio.cpu_s_per_1000, ratio.requests_per_s]
                    .map(|spread| spread.map(|spread| significant(&spread)).unwrap_or_default()),
            );
            row.resize(9, String::new());
            rows.push(row);
        }
    }
    let header = ["server", "asked", "connections", "CPU s/1000", "requests/s", "p50 ms", "p99 ms", "KB", "memory MB"];
    report::table(&header, rows)
}

/// With three digits that count.
fn significant(spread: &Spread) -> String {
    let digits = match spread.median.abs() {
        median if median >= 100.0 => 0,
        median if median >= 10.0 => 1,
        median if median >= 1.0 => 2,
        median if median >= 0.1 => 3,
        _ => 4,
    };
    spread.show(digits)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ratios_compare_what_was_measured_in_the_same_round() {
        let measurement = |server: &str, round, cpu_s_per_1000| Measurement {
            server: server.to_owned(),
            mode: Mode::Cold,
            connections: 8,
            round,
            requests: 1000,
            requests_per_s: 100.0,
            cpu_s_per_1000,
            p50_ms: 1.0,
            p99_ms: 2.0,
            answer_bytes_mean: 9.0,
            resident_mb: 5.0,
        };
        let measured = Measured {
            name: "road".into(),
            title: String::new(),
            slide: String::new(),
            servers: vec!["ours".into(), "peer".into()],
            // In the second round the peer was first.
            measurements: vec![
                measurement("ours", 0, 1.0),
                measurement("peer", 0, 2.0),
                measurement("peer", 1, 40.0),
                measurement("ours", 1, 10.0),
            ],
        };
        let ratios = ratios(&measured);
        assert_eq!(ratios.len(), 1);
        assert_eq!(ratios[0].cpu_s_per_1000.unwrap(), Spread { min: 0.25, median: 0.375, max: 0.5 });
    }
}
