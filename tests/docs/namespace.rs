//! A network and processes of its own for each page.

use std::{process::Command, sync::LazyLock};

/// What runs a program in namespaces of its own. Their first process is the program, so nothing outlives it.
static PREFIX: LazyLock<Vec<String>> = LazyLock::new(|| {
    let own = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let up = r#"ip link set lo up && exec "$@""#;
    let without_root = [&own[..], &["--map-root-user", "sh", "-c", up, "sh"]].concat();
    if works(&without_root) {
        return without_root.into_iter().map(str::to_owned).collect();
    }
    // Ubuntu 24.04 lets no ordinary program make a user namespace. The program runs as the user of the tests again.
    let id = |option: &str| {
        let output = Command::new("id").arg(option).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (user, group) = (format!("--reuid={}", id("-u")), format!("--regid={}", id("-g")));
    let back = ["setpriv", &user, &group, "--init-groups"];
    let with_root = [&["sudo", "-n"], &own[..], &["sh", "-c", up, "sh"], &back].concat();
    assert!(works(&with_root), "neither an ordinary user nor sudo may make a network namespace");
    with_root.into_iter().map(str::to_owned).collect()
});

fn works(prefix: &[&str]) -> bool {
    Command::new(prefix[0]).args(&prefix[1..]).arg("true").output().is_ok_and(|output| output.status.success())
}

pub(crate) fn command(program: &[&str]) -> Command {
    let mut command = Command::new(&PREFIX[0]);
    command.args(&PREFIX[1..]).args(program);
    command
}
