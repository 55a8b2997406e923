//! The curves: the distribution of latency, and the cost against the number of users. A run draws them, and prints their
//! tables for docs/benchmarks.md.

use std::{fmt, path::Path};

use plotters::{coord::Shift, prelude::*};
use serde::{Deserialize, Serialize};

use crate::{generator::Latency, report::median};

/// The axis spaces the percentiles evenly, because all are equally interesting.
const PERCENTILES: [f64; 7] = [10.0, 50.0, 90.0, 95.0, 99.0, 99.9, 99.99];
const COLOURS: [RGBColor; 5] = [
    RGBColor(200, 30, 30),
    RGBColor(30, 90, 200),
    RGBColor(120, 120, 120),
    RGBColor(230, 140, 20),
    RGBColor(20, 140, 80),
];
const SIZE: (u32, u32) = (1_000, 900);

/// The data of the pictures.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Pictures {
    /// A name, and milliseconds at each of [`PERCENTILES`].
    latencies: Vec<(String, Vec<f64>)>,
    /// A number of users, and the microseconds of CPU that the server and Redis take for a request.
    pub(crate) sizes: Vec<(f64, [f64; 2])>,
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

impl Pictures {
    /// Adds the median of several runs, at each percentile.
    pub(crate) fn latency(&mut self, who: &str, runs: &[Latency]) {
        let at = |percentile| median(&runs.iter().map(|run| run.at(percentile)).collect::<Vec<_>>());
        self.latencies.push((who.to_owned(), PERCENTILES.map(at).to_vec()));
    }

    pub(crate) fn draw(&self, path: &Path) -> Drawn {
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (upper, lower) = area.split_vertically(SIZE.1 * 3 / 5);
        if !self.latencies.is_empty() {
            self.draw_latencies(&upper)?;
        }
        if !self.sizes.is_empty() {
            self.draw_sizes(&lower)?;
        }
        Ok(area.present()?)
    }

    fn draw_latencies(&self, area: &DrawingArea<SVGBackend, Shift>) -> Drawn {
        let all = || self.latencies.iter().flat_map(|(_, line)| line.iter().copied());
        let (low, high) = (all().fold(f64::INFINITY, f64::min) * 0.8, all().fold(0.0, f64::max) * 1.25);
        let last = PERCENTILES.len() - 1;
        let mut chart = ChartBuilder::on(area)
            .caption("GET /user: latency at a steady rate", ("sans-serif", 20))
            .margin(12)
            .margin_right(50)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..last as f64, (low..high).log_scale())?;
        let label = |at: &f64| format!("p{}", PERCENTILES[(at.round() as usize).min(last)]);
        chart.configure_mesh().x_labels(PERCENTILES.len()).x_label_formatter(&label).y_desc("milliseconds").draw()?;
        for ((who, line), colour) in self.latencies.iter().zip(COLOURS.iter().cycle()) {
            let points = line.iter().enumerate().map(|(n, milliseconds)| (n as f64, *milliseconds));
            let series = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?.label(who);
            series.legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).background_style(WHITE).draw()?;
        Ok(())
    }

    fn draw_sizes(&self, area: &DrawingArea<SVGBackend, Shift>) -> Drawn {
        let highest = self.sizes.iter().flat_map(|(_, cost)| *cost).fold(0.0, f64::max) * 1.25;
        let (fewest, most) = (self.sizes[0].0, self.sizes[self.sizes.len() - 1].0);
        let mut chart = ChartBuilder::on(area)
            .caption("GET /user: CPU of a request against the number of users", ("sans-serif", 20))
            .margin(12)
            .margin_right(50)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d((fewest..most).log_scale(), 0.0..highest)?;
        chart.configure_mesh().x_desc("users").y_desc("µs a request").draw()?;
        for (n, (who, colour)) in ["auth-service", "Redis"].into_iter().zip(COLOURS).enumerate() {
            let points = self.sizes.iter().map(|(users, cost)| (*users, cost[n]));
            let line = LineSeries::new(points, colour.stroke_width(2)).point_size(4);
            let series = chart.draw_series(line)?.label(who);
            series.legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        chart.configure_series_labels().position(SeriesLabelPosition::LowerLeft).background_style(WHITE).draw()?;
        Ok(())
    }
}

impl fmt::Display for Pictures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.latencies.is_empty() {
            let heads = PERCENTILES.map(|percentile| format!(" p{percentile} |")).concat();
            writeln!(f, "\n| latency in ms |{heads}\n|---|{}", "---|".repeat(PERCENTILES.len()))?;
            for (who, line) in &self.latencies {
                let cells: String = line.iter().map(|milliseconds| format!(" {milliseconds:.3} |")).collect();
                writeln!(f, "| {who} |{cells}")?;
            }
        }
        if !self.sizes.is_empty() {
            writeln!(f, "\n| CPU of a request in µs | auth-service | Redis |\n|---|---|---|")?;
            for (users, [server, redis]) in &self.sizes {
                writeln!(f, "| {users} users | {server:.2} | {redis:.2} |")?;
            }
        }
        Ok(())
    }
}
