//! The parts of the benchmark. In each part, the loads that are compared take turns several times, so that a change in
//! the machine's speed affects all of them equally.

mod bench;
mod checks;
mod passwords;
mod sizes;
mod verifiers;

pub(crate) use self::bench::Bench;

/// A part by its name.
pub(crate) type Part = (&'static str, fn(&mut Bench));

/// All parts, in the order in which they run.
pub(crate) const PARTS: [Part; 11] = [
    ("user", Bench::user),
    ("sessions", Bench::sessions),
    ("embedded", Bench::embedded),
    ("passwords", Bench::passwords),
    ("storm", Bench::storm),
    ("refresh", Bench::refresh),
    ("removal", Bench::removal),
    ("size", Bench::size),
    ("start", Bench::start),
    ("runtimes", Bench::runtimes),
    ("verifiers", Bench::verifiers),
];
