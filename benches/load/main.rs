//! `cargo bench --bench load` compares the cost of the server with the minimum cost of its parts. A run starts all
//! programs that it needs. docs/benchmarks.md explains the figures.
//!
//! `-- --quick` takes two minutes at most, for rough figures; `--only NAME,…` runs some of the parts; `--compare FILE`
//! prints the ratios of this run beside the ratios of an earlier run.

#![expect(clippy::unwrap_used, reason = "a benchmark panics at the step that fails")]

mod api;
mod floors;
mod generator;
mod parts;
mod picture;
mod populate;
mod report;
mod scene;

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
    time::Instant,
};

use auth_service_records::clock::rfc3339;
use clap::{Arg, ArgAction};
use parts::{Bench, PARTS};
use picture::Pictures;
use report::Report;

/// The allocator of the server, so that the floors use it, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let flag = |name| Arg::new(name).long(name).action(ArgAction::SetTrue);
    let floor = clap::Command::new("floor")
        .hide(true)
        .args(["floor", "shape", "redis"].map(|name| Arg::new(name).required(true)));
    let matches = clap::Command::new("load")
        .about("Measures the server against its floors")
        .arg(flag("quick").help("Short loads, one round"))
        .arg(Arg::new("only").long("only").value_delimiter(',').help("Some of the parts, by name"))
        .arg(Arg::new("compare").long("compare").help("A JSON file of an earlier run"))
        // cargo passes this flag to every benchmark.
        .arg(flag("bench").hide(true))
        .subcommand(floor)
        .subcommand(clap::Command::new("api").hide(true).arg(Arg::new("server").required(true)))
        .get_matches();
    if let Some(("floor", matches)) = matches.subcommand() {
        let [floor, shape, redis] = ["floor", "shape", "redis"].map(|name| matches.get_one::<String>(name).unwrap());
        floors::serve(floor, shape.parse().unwrap(), redis);
        return ExitCode::SUCCESS;
    }
    if let Some(("api", matches)) = matches.subcommand() {
        api::serve(matches.get_one::<String>("server").unwrap());
        return ExitCode::SUCCESS;
    }
    let earlier = matches
        .get_one::<String>("compare")
        .map(|path| Report::load(path.as_ref()).map_err(|error| eprintln!("{error}")));
    if let Some(Err(())) = earlier {
        return ExitCode::FAILURE;
    }
    let only: Vec<_> = matches.get_many::<String>("only").unwrap_or_default().collect();
    if let Some(unknown) = only.iter().find(|name| !PARTS.iter().any(|(part, _)| *part == name.as_str())) {
        let names: Vec<_> = PARTS.iter().map(|(part, _)| *part).collect();
        eprintln!("there is no part {unknown}; the parts are: {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load/install.sh");
    if !Command::new(script).status().is_ok_and(|status| status.success()) {
        eprintln!("{script} could not install what the benchmark needs");
        return ExitCode::FAILURE;
    }
    let report = run(matches.get_flag("quick"), &only);
    println!("{report}");
    if let Some(Ok(earlier)) = earlier {
        println!("{}", report.compare(&earlier));
    }
    ExitCode::SUCCESS
}

fn run(quick: bool, only: &[&String]) -> Report {
    let start = Instant::now();
    let mut bench = Bench { quick, rows: Vec::new(), pictures: Pictures::default() };
    for (name, part) in PARTS {
        if only.is_empty() || only.iter().any(|only| *only == name) {
            eprintln!("{name} … ({} s so far)", start.elapsed().as_secs());
            part(&mut bench);
        }
    }
    let Bench { rows, pictures, .. } = bench;
    let redis = scene::Redis::start().version();
    let versions = format!("Redis {redis}, auth-service {}", env!("CARGO_PKG_VERSION"));
    let report =
        Report { at: rfc3339(scene::unix_seconds()), machine: scene::machine(), versions, quick, rows, pictures };
    let name =
        |extension: &str| -> PathBuf { scene::directory().join(format!("{}.{extension}", report.at.replace(':', ""))) };
    report.save(&name("json"));
    match report.pictures.draw(&name("svg")) {
        Ok(()) => eprintln!("took {} s; written to {} and .svg", start.elapsed().as_secs(), name("json").display()),
        Err(error) => eprintln!("the picture could not be drawn: {error}"),
    }
    report
}
