//! Draws the cost of a manager's calls against its number of sessions.
//!
//! ```text
//! cargo bench --bench manager
//! cargo run -p matter-session-plot
//! ```
//! Reads what criterion left in `target/criterion/sessions`, prints the medians and writes them as
//! `benches/sessions.svg`. Of several runs, which criterion keeps apart with `--save-baseline NAME`,
//! it takes the median of each figure.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use plotters::coord::{CoordTranslate, Shift};
use plotters::prelude::*;
use serde::Deserialize;

/// Nanoseconds by number of sessions.
type Line = BTreeMap<u32, f64>;
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

#[derive(Deserialize)]
struct Benchmark {
    function_id: String,
    value_str: String,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

fn main() -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let lines = read(&root.join("target/criterion/sessions"))?;
    print(&lines);
    draw(&lines, &root.join("benches/sessions.svg"))
}

/// The medians of every call.
fn read(group: &Path) -> Outcome<BTreeMap<String, Line>> {
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    for call in fs::read_dir(group).map_err(|_| "run `cargo bench --bench manager` first")? {
        let call = call?.path();
        if !call.is_dir() || call.ends_with("report") {
            continue;
        }
        for size in fs::read_dir(call)? {
            let mut medians = Vec::new();
            let mut sessions = None;
            for run in fs::read_dir(size?.path())? {
                let run = run?.path();
                let Ok(benchmark) = fs::read(run.join("benchmark.json")) else { continue };
                let benchmark: Benchmark = serde_json::from_slice(&benchmark)?;
                let estimates = fs::read(run.join("estimates.json"))?;
                let estimates: Estimates = serde_json::from_slice(&estimates)?;
                medians.push(estimates.median.point_estimate);
                sessions = Some((benchmark.function_id, benchmark.value_str.parse()?));
            }
            medians.sort_by(f64::total_cmp);
            if let (Some((call, sessions)), Some(median)) =
                (sessions, medians.get(medians.len() / 2))
            {
                lines.entry(call).or_default().insert(sessions, *median);
            }
        }
    }
    Ok(lines)
}

fn print(lines: &BTreeMap<String, Line>) {
    for (call, line) in lines {
        let first = line.values().next().copied().unwrap_or(f64::NAN);
        let costs = line.iter().map(|(sessions, nanos)| format!("{sessions}: {nanos:.0} ns"));
        let ratio = line.values().last().copied().unwrap_or(f64::NAN) / first;
        println!("{call}: {}; last / first {ratio:.2}", costs.collect::<Vec<_>>().join(", "));
    }
}

/// Both axes are logarithmic; a level line is a cost that does not depend on the size.
fn draw(lines: &BTreeMap<String, Line>, file: &Path) -> Outcome {
    let area = SVGBackend::new(file, (860, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let costs = || lines.values().flat_map(BTreeMap::values);
    let least = costs().copied().fold(f64::INFINITY, f64::min) / 2.0;
    let most = costs().copied().fold(0.0, f64::max) * 2.0;
    let sizes = || lines.values().flat_map(BTreeMap::keys).copied();
    let (fewest, largest) = (sizes().min().unwrap_or(1), sizes().max().unwrap_or(2));
    let x_axis = (fewest as f64 * 0.8..largest as f64 * 1.25).log_scale();
    let mut chart = ChartBuilder::on(&area)
        .caption("Cost of a call against the number of sessions", ("sans-serif", 18))
        .margin(12)
        .margin_right(250)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(x_axis, (least..most).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("sessions")
        .y_desc("median of one call")
        .x_label_formatter(&|sessions| format!("{sessions:.0}"))
        .y_label_formatter(&|nanos| time(*nanos))
        .light_line_style(WHITE)
        .draw()?;
    for (n, line) in lines.values().enumerate() {
        let color = Palette99::pick(n).to_rgba();
        let points = line.iter().map(|(sessions, nanos)| (f64::from(*sessions), *nanos));
        chart.draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?;
        chart.draw_series(points.clone().map(|point| Circle::new(point, 3, color.filled())))?;
    }
    label(&area, lines, &chart)?;
    area.present()?;
    Ok(())
}

/// Names each line at its right end, from the top down and never over another name.
fn label<DB, CT>(
    area: &DrawingArea<DB, Shift>,
    lines: &BTreeMap<String, Line>,
    chart: &ChartContext<'_, DB, CT>,
) -> Outcome
where
    DB: DrawingBackend<ErrorType: 'static>,
    CT: CoordTranslate<From = (f64, f64)>,
{
    const HEIGHT: i32 = 17;
    let mut ends: Vec<_> = lines
        .iter()
        .filter_map(|(call, line)| {
            let (sessions, nanos) = line.last_key_value()?;
            let (x, y) = chart.as_coord_spec().translate(&(f64::from(*sessions), *nanos));
            Some((y, x, format!("{call}, {}", time(*nanos))))
        })
        .collect();
    ends.sort_by_key(|end| end.0);
    let mut free = i32::MIN;
    for (y, x, text) in ends {
        let top = (y - HEIGHT / 2).max(free);
        free = top + HEIGHT;
        area.draw(&Text::new(text, (x + 30, top), ("sans-serif", 14)))?;
    }
    Ok(())
}

fn time(nanos: f64) -> String {
    match nanos {
        ..10.0 => format!("{nanos:.1} ns"),
        ..1000.0 => format!("{nanos:.0} ns"),
        ..10_000.0 => format!("{:.1} µs", nanos / 1000.0),
        _ => format!("{:.0} µs", nanos / 1000.0),
    }
}
