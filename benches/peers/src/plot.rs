//! Draws nanoseconds against octets, a line for each who was compared.

use std::error::Error;
use std::path::Path;

use plotters::coord::{CoordTranslate, Shift};
use plotters::prelude::*;

use crate::harness::Row;

type Outcome = Result<(), Box<dyn Error>>;

/// Nanoseconds by octets.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// What is drawn: a caption, and lines of whom in which rows, under other names where need be.
type Plot = (&'static str, &'static str, &'static [(&'static str, &'static str, &'static str)]);

const PLOTS: [Plot; 4] = [
    (
        "peers-seal.svg",
        "AES-CCM: a message sealed in place",
        &[
            ("seal", "ours", "ours"),
            ("batch-seal", "batch", "ours, in batches of 4"),
            ("seal", "ccm", "ccm"),
            ("seal", "openssl", "OpenSSL"),
            ("seal", "aws-lc", "AWS-LC"),
        ],
    ),
    (
        "peers-open.svg",
        "AES-CCM: a message opened in place",
        &[
            ("open", "ours", "ours"),
            ("batch-open", "batch", "ours, in batches of 4"),
            ("open", "ccm", "ccm"),
            ("open", "openssl", "OpenSSL"),
            ("open", "aws-lc", "AWS-LC"),
        ],
    ),
    (
        "peers-encode.svg",
        "A whole message: from payload to datagram",
        &[
            ("encode", "ours", "ours"),
            ("encode", "matter-kit", "matter-kit"),
            ("encode", "matter-transport", "matter-transport"),
        ],
    ),
    (
        "peers-decode.svg",
        "A whole message: from datagram to payload",
        &[
            ("decode", "ours", "ours"),
            ("decode", "matter-kit", "matter-kit"),
            ("decode", "matter-transport", "matter-transport"),
        ],
    ),
];

/// What is marked on an axis: more would overlap.
const MARKS: [f64; 12] = [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 10e3, 20e3, 50e3];

pub fn draw(rows: &[Row], directory: &Path) -> Outcome {
    for (file, caption, wanted) in PLOTS {
        let lines: Vec<_> =
            wanted.iter().map(|(what, who, name)| line(rows, what, who, name)).collect();
        plot(caption, &lines, &directory.join(file))?;
    }
    Ok(())
}

fn line(rows: &[Row], what: &str, who: &str, name: &str) -> Line {
    let points = rows.iter().filter(|row| row.what == what).filter_map(|row| {
        let (_, nanos) = row.medians.iter().find(|(contestant, _)| *contestant == who)?;
        Some((row.size.parse().ok()?, *nanos))
    });
    Line { name: name.into(), points: points.collect() }
}

/// Both axes are logarithmic: equal ratios are equal distances.
fn plot(caption: &str, lines: &[Line], file: &Path) -> Outcome {
    let area = SVGBackend::new(file, (860, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|line| &line.points);
    let range = |values: &dyn Fn() -> Vec<f64>, margin: f64| {
        let least = values().into_iter().fold(f64::INFINITY, f64::min);
        let most = values().into_iter().fold(0.0, f64::max);
        let range = least / margin..most * margin;
        let marked = MARKS.into_iter().filter(|mark| range.contains(mark)).collect();
        range.log_scale().with_key_points(marked)
    };
    let mut chart = ChartBuilder::on(&area)
        .caption(caption, ("sans-serif", 18))
        .margin(12)
        .margin_right(230)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(
            range(&|| points().map(|point| point.0).collect(), 1.1),
            range(&|| points().map(|point| point.1).collect(), 1.4),
        )?;
    chart
        .configure_mesh()
        .x_desc("octets")
        .y_desc("median, in nanoseconds")
        .x_label_formatter(&|octets| format!("{octets:.0}"))
        .y_label_formatter(&|nanos| format!("{nanos:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for (n, line) in lines.iter().enumerate() {
        let color = Palette99::pick(n).to_rgba();
        chart.draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)))?;
        let dots = line.points.iter().map(|point| Circle::new(*point, 3, color.filled()));
        chart.draw_series(dots)?;
    }
    label(&area, lines, &chart)?;
    area.present()?;
    Ok(())
}

/// Names each line at its right end, from the top down and never over another name.
fn label<DB, CT>(
    area: &DrawingArea<DB, Shift>,
    lines: &[Line],
    chart: &ChartContext<'_, DB, CT>,
) -> Outcome
where
    DB: DrawingBackend<ErrorType: 'static>,
    CT: CoordTranslate<From = (f64, f64)>,
{
    const HEIGHT: i32 = 17;
    let mut ends: Vec<_> = lines
        .iter()
        .filter_map(|line| {
            let end = line.points.last()?;
            let (x, y) = chart.as_coord_spec().translate(end);
            Some((y, x, format!("{}, {:.0} ns at {}", line.name, end.1, end.0)))
        })
        .collect();
    ends.sort_by_key(|end| end.0);
    let mut free = i32::MIN;
    for (y, x, text) in ends {
        let top = (y - HEIGHT / 2).max(free);
        free = top + HEIGHT;
        area.draw(&Text::new(text, (x + 14, top), ("sans-serif", 14)))?;
    }
    Ok(())
}
