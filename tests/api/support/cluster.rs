//! A Redis Cluster whose connections a test can cut.

use std::process::Stdio;

use super::{
    ports::{BUS, free_port_of_a_node},
    process::program,
    proxy::Proxy,
    redis_server::RedisServer,
    sentinels::REPLICATION,
    wait::wait_until,
};

/// Three primaries and three replicas. Clients and replication reach each server through a network that the test can
/// cut. The bus of the cluster does not use this network, so the nodes still hear each other.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<RedisServer>,
    pub(crate) networks: Vec<Proxy>,
}

impl Cluster {
    pub(crate) fn start(more: &[&str]) -> Self {
        let (mut servers, mut networks) = (Vec::new(), Vec::new());
        for _ in 0..6 {
            let port = free_port_of_a_node();
            let network = Proxy::start(port);
            let (announced, bus) = (network.port().to_string(), (port + BUS).to_string());
            let mut arguments = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
            arguments.extend(["--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", &announced]);
            arguments.extend(["--cluster-announce-bus-port", &bus]);
            arguments.extend(REPLICATION.iter().chain(more));
            servers.push(RedisServer::start_at(port, &arguments));
            networks.push(network);
        }
        let nodes = servers.iter().map(|server| format!("127.0.0.1:{}", server.port()));
        let mut command = program("redis-cli");
        command.args(["--cluster", "create"]).args(nodes).args(["--cluster-replicas", "1", "--cluster-yes"]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let cluster = Self { servers, networks };
        wait_until("the cluster is whole", || cluster.is_whole());
        cluster
    }

    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> = self.networks.iter().map(|network| format!("127.0.0.1:{}", network.port())).collect();
        format!("redis+cluster://{}", hosts[..3].join(","))
    }

    /// Whether each of the six servers sees all six as healthy, and each primary has a connected replica.
    pub(crate) fn is_whole(&self) -> bool {
        let well = |server: &RedisServer| {
            let info: Option<String> = server.try_command(&["CLUSTER", "INFO"]);
            let nodes: Option<String> = server.try_command(&["CLUSTER", "NODES"]);
            let replication: Option<String> = server.try_command(&["INFO", "replication"]);
            info.is_some_and(|info| info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6"))
                && nodes.is_some_and(|nodes| !nodes.contains("fail"))
                && replication
                    .is_some_and(|text| text.contains("connected_slaves:1") || text.contains("master_link_status:up"))
        };
        self.servers.iter().all(well)
    }

    /// Waits until all writes to the primary of the slot of `key` have reached its replica.
    pub(crate) fn wait_for_replica(&self, key: &str) {
        let mut connection = self.servers[self.owner(0, key)].connect();
        let set = redis::cmd("SET").arg(&[key, "1"]).arg(&["EX", "60"]).clone();
        let () = set.query(&mut connection).unwrap();
        assert_eq!(redis::cmd("WAIT").arg(&[1, 5_000]).query::<u32>(&mut connection).unwrap(), 1);
    }

    /// The primary of the slot of `key`, according to the server `asked`.
    pub(crate) fn owner(&self, asked: usize, key: &str) -> usize {
        let slot: u16 = self.servers[asked].command(&["CLUSTER", "KEYSLOT", key]);
        self.owner_of_slot(asked, slot).unwrap()
    }

    fn owner_of_slot(&self, asked: usize, slot: u16) -> Option<usize> {
        type Row = (u16, u16, (String, u16));
        let rows: Vec<Vec<redis::Value>> = self.servers[asked].try_command(&["CLUSTER", "SLOTS"])?;
        let rows = rows.into_iter().map(|row| {
            let primary = row[2].clone().into_sequence().unwrap().into_iter().take(2).collect();
            let row = vec![row[0].clone(), row[1].clone(), redis::Value::Array(primary)];
            redis::from_redis_value::<Row>(redis::Value::Array(row)).unwrap()
        });
        let (_, _, (_, port)) = rows.into_iter().find(|(first, last, _)| (*first..=*last).contains(&slot))?;
        self.networks.iter().position(|network| network.port() == port)
    }

    /// Waits until a primary knows its replica, and returns the replica.
    pub(crate) fn replica_of(&self, primary: usize) -> usize {
        let id: String = self.servers[primary].command(&["CLUSTER", "MYID"]);
        let mut replicas: Vec<String> = Vec::new();
        wait_until("the primary knows its replica", || {
            replicas = self.servers[primary].command(&["CLUSTER", "REPLICAS", &id]);
            !replicas.is_empty()
        });
        self.networks.iter().position(|network| replicas[0].contains(&format!(":{}@", network.port()))).unwrap()
    }

    /// Waits until a server other than `old` owns the slot of `key`, according to one of the remaining servers.
    pub(crate) fn wait_for_failover(&self, old: usize, key: &str) -> usize {
        let asked = (0..6).find(|n| *n != old && self.servers[*n].is_running()).unwrap();
        let slot: u16 = self.servers[asked].command(&["CLUSTER", "KEYSLOT", key]);
        let mut owner = old;
        wait_until("the slot has another owner", || {
            owner = self.owner_of_slot(asked, slot).unwrap_or(old);
            owner != old
        });
        owner
    }
}
