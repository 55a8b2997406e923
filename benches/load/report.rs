//! The table, the JSON, and the comparison with an earlier run.

use std::{fmt, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::picture::Pictures;

/// The target of a figure.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
        }
    }
}

/// One line of the table. The target applies to the ratio if there is one, otherwise to the figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The name. It stays the same from version to version, for comparisons.
    pub(crate) name: String,
    pub(crate) unit: String,
    /// Median of all rounds.
    pub(crate) ours: f64,
    /// The name and the median of the other figure, if this figure is compared with another.
    pub(crate) against: Option<(String, f64)>,
    /// The median, the lowest and the highest ratio of all rounds.
    pub(crate) ratio: Option<(f64, f64, f64)>,
    pub(crate) target: Option<Target>,
}

impl Row {
    /// A figure on its own.
    pub(crate) fn single(name: &str, unit: &str, figures: &[f64], target: Option<Target>) -> Self {
        Self { name: name.to_owned(), unit: unit.to_owned(), ours: median(figures), against: None, ratio: None, target }
    }

    /// Two figures that were measured in turn. The n-th values of both belong together.
    pub(crate) fn pair(
        name: &str,
        unit: &str,
        ours: &[f64],
        (other, theirs): (&str, &[f64]),
        target: Option<Target>,
    ) -> Self {
        let ratios: Vec<_> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = ratios.iter().copied().fold(0.0, f64::max);
        Self {
            against: Some((other.to_owned(), median(theirs))),
            ratio: Some((median(&ratios), lowest, highest)),
            ..Self::single(name, unit, ours, target)
        }
    }

    fn judged(&self) -> f64 {
        self.ratio.map_or(self.ours, |(ratio, ..)| ratio)
    }

    fn is_met(&self) -> Option<bool> {
        self.target.map(|target| target.is_met(self.judged()))
    }
}

pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// A whole run.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    /// The time of the run (RFC 3339).
    pub(crate) at: String,
    pub(crate) machine: String,
    pub(crate) versions: String,
    /// Whether this is a quick run, whose figures are only rough.
    pub(crate) quick: bool,
    pub(crate) rows: Vec<Row>,
    /// The data of the curves. Empty in a file of an early version.
    #[serde(default)]
    pub(crate) pictures: Pictures,
}

fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 1_000.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; {}; {}{}\n", self.at, self.machine, self.versions, if self.quick { "; quick" } else { "" })?;
        writeln!(f, "| what | ours | against | ratio (spread) | target | |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for row in &self.rows {
            let Row { name, unit, ours, against, ratio, target } = row;
            let against = against.as_ref().map(|(other, theirs)| format!("{other} {}", figure(*theirs)));
            let ratio = ratio.map(|(ratio, low, high)| format!("{ratio:.3} ({low:.3} to {high:.3})"));
            let target = target.map(|target| target.to_string());
            let verdict = row.is_met().map_or("", |met| if met { "met" } else { "MISSED" });
            let [against, ratio, target] = [against, ratio, target].map(Option::unwrap_or_default);
            writeln!(f, "| {name} | {} {unit} | {against} | {ratio} | {target} | {verdict} |", figure(*ours))?;
        }
        write!(f, "{}", self.pictures)
    }
}

impl Report {
    pub(crate) fn save(&self, path: &Path) {
        fs::write(path, serde_json::to_string_pretty(self).unwrap() + "\n").unwrap();
    }

    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// For each figure of both runs, the ratio of the new value to the old value. Ratios can be compared across
    /// machines.
    pub(crate) fn compare(&self, then: &Self) -> String {
        let mut lines = format!(
            "compared with {} ({})\n\n| what | then | now | now / then |\n|---|---|---|---|\n",
            then.at, then.machine
        );
        for row in &self.rows {
            let Some(earlier) = then.rows.iter().find(|earlier| earlier.name == row.name) else { continue };
            let (now, before) = (row.judged(), earlier.judged());
            lines += &format!("| {} | {} | {} | {:.3} |\n", row.name, figure(before), figure(now), now / before);
        }
        lines
    }
}
