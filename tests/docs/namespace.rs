//! A network and processes of its own for each page.

use std::{process::Command, sync::LazyLock};

/// Runs a program in namespaces of its own. The program is their first process, so no other process outlives it.
const OWN: [&str; 6] = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
const THEN: [&str; 4] = ["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"];

/// The first way that this machine permits: a user namespace, root, or sudo. Ubuntu 24.04 forbids user namespaces for
/// ordinary users. With sudo, the program then runs as the user of the tests.
static PREFIX: LazyLock<Vec<String>> = LazyLock::new(|| {
    let (user, group) = (format!("--reuid={}", id("-u")), format!("--regid={}", id("-g")));
    let ways = [
        [&OWN[..], &["--map-root-user"], &THEN].concat(),
        [&OWN[..], &THEN].concat(),
        [&["sudo", "-n"], &OWN[..], &THEN, &["setpriv", &user, &group, "--init-groups"]].concat(),
    ];
    let way = ways.iter().find(|way| works(way)).unwrap_or_else(|| panic!("none of these works: {ways:#?}"));
    way.iter().map(|&word| word.to_owned()).collect()
});

fn id(option: &str) -> String {
    let output = Command::new("id").arg(option).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn works(prefix: &[&str]) -> bool {
    Command::new(prefix[0]).args(&prefix[1..]).arg("true").output().is_ok_and(|output| output.status.success())
}

pub(crate) fn command(program: &[&str]) -> Command {
    let mut command = Command::new(&PREFIX[0]);
    command.args(&PREFIX[1..]).args(program);
    command
}
