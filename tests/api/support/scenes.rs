//! Servers on Sentinels and on a cluster, with sessions that the replicas have.

use super::{
    app::TestApp, cluster::Cluster, keys::tag, redis_server::RedisServer, sentinels::Sentinels, session::Session,
};

/// Sentinels, a server, and a session that both replicas have.
pub(crate) fn sentinel_scene(settings: &[(&str, &str)]) -> (Sentinels, TestApp, Session) {
    let sentinels = Sentinels::start();
    let app = TestApp::start_on(&sentinels.url(), settings);
    let session = app.new_session();
    let replicated: u32 = wait_for_replicas(&sentinels.servers[0]);
    assert_eq!(replicated, 2);
    (sentinels, app, session)
}

/// Waits until both replicas have all writes. Returns the number of replicas that have them.
pub(crate) fn wait_for_replicas(primary: &RedisServer) -> u32 {
    let mut connection = primary.connect();
    let (replicas,): (u32,) = redis::pipe()
        .cmd("SET")
        .arg(&["marker", "1", "EX", "60"])
        .ignore()
        .cmd("WAIT")
        .arg(&[2, 5_000])
        .query(&mut connection)
        .unwrap();
    replicas
}

/// Moves the slot of a user's keys to another node. Commands get ASK or TRYAGAIN during the move, and MOVED afterwards.
pub(crate) struct MovingSlot<'c> {
    from: &'c RedisServer,
    to: &'c RedisServer,
    slot: String,
    new_owner: String,
}

impl<'c> MovingSlot<'c> {
    pub(crate) fn start(from: &'c RedisServer, to: &'c RedisServer, email: &str) -> Self {
        let slot = from.command::<u16>(&["CLUSTER", "KEYSLOT", &key(email)]).to_string();
        let (owner, new_owner): (String, String) =
            (from.command(&["CLUSTER", "MYID"]), to.command(&["CLUSTER", "MYID"]));
        let () = to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &owner]);
        let () = from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &new_owner]);
        Self { from, to, slot, new_owner }
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.from.command(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "100"])
    }

    pub(crate) fn move_key(&self, key: &str) {
        self.from.command::<()>(&["MIGRATE", "127.0.0.1", &self.to.port().to_string(), key, "0", "5000"]);
    }

    pub(crate) fn finish(&self) {
        for server in [self.to, self.from] {
            server.command::<()>(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &self.new_owner]);
        }
    }
}

/// A cluster, a server, and a session on each primary. The replicas have these sessions.
pub(crate) fn cluster_scene(settings: &[(&str, &str)]) -> (Cluster, TestApp, Vec<(usize, Session)>) {
    // With the default setting, the whole cluster stops when some slots have no primary.
    let cluster = Cluster::start(&["--cluster-require-full-coverage", "no"]);
    let app = TestApp::start_on(&cluster.url(), settings);
    let mut sessions: Vec<(usize, Session)> = Vec::new();
    while sessions.len() < 3 {
        let session = app.new_session();
        let owner = cluster.owner(0, &key(&session.email));
        if sessions.iter().all(|(other, _)| *other != owner) {
            cluster.wait_for_replica(&key(&session.email));
            sessions.push((owner, session));
        }
    }
    (cluster, app, sessions)
}

/// A key in the slot of the user's keys.
pub(crate) fn key(email: &str) -> String {
    format!("{{{}}}:tests", tag(email))
}
