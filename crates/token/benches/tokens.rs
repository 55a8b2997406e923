//! What it costs to sign and to verify an access token.
//!
//! `cargo bench -p auth-service-token`. The rounds of all operations take turns, so a change in the speed of the machine
//! affects all. The columns are the median of the rounds, and the median of the ratios to HS256 in the same round.

#![expect(clippy::unwrap_used, reason = "a benchmark panics at the step that fails")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use auth_service_token::{Algorithm, Amr, Claims, Id, KeySet, Keys, SeenTokens, SigningKey, Tokens};
use uuid::Uuid;

const NOW: u64 = 1_800_000_000;
/// Many short rounds: few of them are interrupted by other programs, so the median is that of an idle machine.
const ROUNDS: usize = 501;
/// A map of seen tokens holds some thousands of tokens. So a new token in each call is a token that is not in the map.
const NEW_TOKENS: usize = 20_000;

/// An operation, and how often a round does it.
struct Operation<'a> {
    name: &'static str,
    times: usize,
    run: Box<dyn FnMut() + 'a>,
    costs: Vec<Duration>,
}

fn claims() -> Claims {
    let id = || Id::random().unwrap();
    Claims {
        sid: id(),
        eid: Some(id()),
        jti: id(),
        iat: NOW,
        exp: NOW + 60,
        amr: Amr::PASSWORD,
        auth_time: Some(NOW),
        ..Claims::of(Uuid::new_v4(), id())
    }
}

fn tokens(algorithm: Algorithm) -> Tokens {
    let keys = Keys::default();
    let key = Arc::new(SigningKey::generate().unwrap().0);
    keys.replace(KeySet::new(&[*key.verifying_key()], Some(key)), Instant::now());
    Tokens::new(&[1; 32], &[2; 32]).with_keys(algorithm, keys)
}

fn issue(tokens: &Tokens) -> String {
    tokens.access.issue(&claims()).unwrap()
}

fn median<T: Copy + PartialOrd>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}

fn main() {
    let (hs256, es256) = (tokens(Algorithm::Hs256), tokens(Algorithm::Es256));
    let claims = claims();
    let seen = SeenTokens::default();
    let seen_of_new = SeenTokens::default();
    let (hs256_token, es256_token) = (issue(&hs256), issue(&es256));
    let new: Vec<String> = (0..NEW_TOKENS).map(|_| issue(&es256)).collect();
    let mut new = new.iter().cycle();
    let verify = |tokens: &Tokens, token: &str, seen: &SeenTokens| {
        black_box(tokens.access.verify(black_box(token), NOW, seen).unwrap());
    };
    let operation = |name, times, run| Operation { name, times, run, costs: Vec::new() };
    let mut operations: [Operation<'_>; 5] = [
        operation("sign HS256", 100, Box::new(|| drop(black_box(hs256.access.issue(black_box(&claims)))))),
        operation("sign ES256", 10, Box::new(|| drop(black_box(es256.access.issue(black_box(&claims)))))),
        operation("verify HS256", 100, Box::new(|| verify(&hs256, &hs256_token, &seen))),
        operation("verify ES256, repeated", 100, Box::new(|| verify(&es256, &es256_token, &seen))),
        operation("verify ES256, new", 10, Box::new(|| verify(&es256, new.next().unwrap(), &seen_of_new))),
    ];
    for _ in 0..ROUNDS {
        for operation in &mut operations {
            let start = Instant::now();
            (0..operation.times).for_each(|_| (operation.run)());
            operation.costs.push(start.elapsed() / u32::try_from(operation.times).unwrap());
        }
    }
    println!("{:<24}{:>9}  against HS256", "", "µs");
    for (index, operation) in operations.iter().enumerate() {
        let floor = &operations[if index < 2 { 0 } else { 2 }];
        let ratios = operation.costs.iter().zip(&floor.costs).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
        let cost = median(operation.costs.clone()).as_secs_f64() * 1e6;
        println!("{:<24}{cost:>9.2}  {:.2}", operation.name, median::<f64>(ratios));
    }
}
