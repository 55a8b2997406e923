//! The tests kill, freeze, demote and cut off primaries under load. Acknowledged writes must still be there after each
//! round and at the end.

use std::thread::sleep;

use super::recording::{BREATH, Recorder, rounds, start};
use crate::support::{Cluster, SERVICE, Sentinels, alone, key, wait_for_replicas, wait_longer, wait_until};

#[test]
fn nothing_acknowledged_is_lost_under_sentinels() {
    let _turn = alone();
    let mut sentinels = Sentinels::start();
    let app = start(&sentinels.url());
    let recorder = Recorder::new(&app);
    recorder.run(|| {
        for round in 0..rounds() {
            sleep(BREATH);
            let primary = sentinels.primary();
            recorder.begin_round(|_| assert_eq!(wait_for_replicas(&sentinels.servers[primary]), 2));
            match round % 4 {
                0 => {
                    sentinels.servers[primary].kill();
                    sentinels.wait_for_failover(primary);
                    sleep(BREATH);
                    sentinels.servers[primary].restart();
                }
                1 => {
                    sentinels.servers[primary].freeze();
                    sentinels.wait_for_failover(primary);
                    sleep(BREATH);
                    sentinels.servers[primary].thaw();
                }
                2 => {
                    let () = sentinels.ask(0, &["FAILOVER", SERVICE]).unwrap();
                    sentinels.wait_for_failover(primary);
                }
                _ => {
                    sentinels.networks[primary].cut_off();
                    sentinels.wait_for_failover(primary);
                    sleep(BREATH);
                    sentinels.networks[primary].mend();
                }
            }
            wait_longer(60, "all servers are back", || sentinels.is_whole());
            recorder.end_round();
        }
        sleep(BREATH);
    });
    recorder.assert_nothing_lost("Sentinel");
}

#[test]
fn nothing_acknowledged_is_lost_in_a_cluster() {
    let _turn = alone();
    let mut cluster =
        Cluster::start(&["--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0"]);
    let app = start(&cluster.url());
    let recorder = Recorder::new(&app);
    recorder.run(|| {
        for round in 0..rounds() {
            sleep(BREATH);
            let email = recorder.begin_round(|email| cluster.wait_for_replica(&key(email)));
            let key = key(&email);
            let primary = cluster.owner(0, &key);
            match round % 4 {
                0 => {
                    cluster.servers[primary].kill();
                    cluster.wait_for_failover(primary, &key);
                    sleep(BREATH);
                    cluster.servers[primary].restart();
                }
                2 => {
                    let replica = cluster.replica_of(primary);
                    let () = cluster.servers[replica].command(&["CLUSTER", "FAILOVER"]);
                    cluster.wait_for_failover(primary, &key);
                }
                // The nodes still hear each other, so no replica takes over by itself.
                3 => {
                    let replica = cluster.replica_of(primary);
                    cluster.networks[primary].cut_off();
                    sleep(BREATH);
                    let () = cluster.servers[replica].command(&["CLUSTER", "FAILOVER", "FORCE"]);
                    cluster.wait_for_failover(primary, &key);
                    sleep(BREATH);
                    cluster.networks[primary].mend();
                }
                _ => {
                    cluster.servers[primary].freeze();
                    cluster.wait_for_failover(primary, &key);
                    sleep(BREATH);
                    cluster.servers[primary].thaw();
                }
            }
            wait_longer(60, "all servers are back", || cluster.is_whole());
            recorder.end_round();
        }
        sleep(BREATH);
    });
    wait_until("the cluster is whole", || cluster.is_whole());
    recorder.assert_nothing_lost("Cluster");
}
