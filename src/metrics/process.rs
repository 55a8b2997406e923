//! The metrics of the process, with the names that the client libraries of Prometheus use. The values come from `/proc`
//! whenever the metrics are read, so there are none on systems without `/proc`.
//!
//! The crates for this (`procfs`, `metrics-process`) bring in more code than these few numbers need.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
};

/// Adds the metrics of the process to a registry, which must have no prefix.
pub(super) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Process));
}

#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(Usage { cpu_seconds, start_seconds, threads, virtual_bytes, resident_bytes }) = usage() {
            let help = "CPU time, in user and system mode.";
            let metric = encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
            ConstCounter::new(cpu_seconds).encode(metric)?;
            gauge(&mut encoder, "process_start_time_seconds", "Start of the process, in Unix time.", start_seconds)?;
            gauge(&mut encoder, "process_threads", "Threads of the process.", threads)?;
            gauge(&mut encoder, "process_virtual_memory_bytes", "Size of the address space.", virtual_bytes)?;
            gauge(&mut encoder, "process_resident_memory_bytes", "Memory in use.", resident_bytes)?;
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // One of the descriptors belongs to this read of the directory.
            let open = open.count().saturating_sub(1);
            gauge(&mut encoder, "process_open_fds", "Open file descriptors.", open as f64)?;
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            gauge(&mut encoder, "process_max_fds", "Limit on open file descriptors.", most as f64)?;
        }
        Ok(())
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// What the process uses.
struct Usage {
    cpu_seconds: f64,
    start_seconds: f64,
    threads: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

/// `None` without `/proc`.
fn usage() -> Option<Usage> {
    let (of_process, of_system) = (fs::read_to_string("/proc/self/stat").ok()?, fs::read_to_string("/proc/stat").ok()?);
    // The name of the program, in parentheses, may hold blanks. The third field of proc_pid_stat(5) follows.
    let (_, fields) = of_process.rsplit_once(") ")?;
    let fields: Vec<_> = fields.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let boot_seconds: f64 = of_system.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    let ticks = clock_ticks_per_second() as f64;
    Some(Usage {
        cpu_seconds: (field(14)? + field(15)?) / ticks,
        start_seconds: boot_seconds + field(22)? / ticks,
        threads: field(20)?,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page_size() as f64,
    })
}
