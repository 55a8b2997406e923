//! The proxies that `deploy/` has configurations for, started with the shipped files on ports of the test.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::{Process, program, wait_until};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proxy {
    Nginx,
    Caddy,
    Traefik,
    Envoy,
    Haproxy,
}

/// nginx includes the file from its `conf.d`. The rest of the main configuration makes it run as one process, without
/// root, in `DIRECTORY`.
const NGINX: &str = "daemon off; master_process off; pid DIRECTORY/pid; events {} http { \
    client_body_temp_path DIRECTORY/1; proxy_temp_path DIRECTORY/2; fastcgi_temp_path DIRECTORY/3; \
    uwsgi_temp_path DIRECTORY/4; scgi_temp_path DIRECTORY/5; access_log off; include DIRECTORY/FILE; }";

impl Proxy {
    /// Starts the proxy in `directory` with files of `deploy/`, of which the first is the main one. Replaces each port of
    /// `ports` by the one beside it. Waits until the proxy listens on the first one.
    pub(super) fn start(self, directory: &Path, files: &[&str], ports: &[(&str, u16)]) -> Process {
        for name in files {
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
            let mut text = fs::read_to_string(&shipped).unwrap();
            for place in ["/var/log/nginx", "/etc/traefik"] {
                text = text.replace(place, directory.to_str().unwrap());
            }
            // The marks keep a port of the test from being replaced again.
            for (shipped, _) in ports {
                text = text.replace(shipped, &format!("<{shipped}>"));
            }
            for (shipped, ours) in ports {
                text = text.replace(&format!("<{shipped}>"), &ours.to_string());
            }
            fs::write(directory.join(shipped.file_name().unwrap()), text).unwrap();
        }
        let main = directory.join(Path::new(files[0]).file_name().unwrap());
        let mut command = self.command(directory, &main);
        command.current_dir(directory).env("HOME", directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::start(command);
        wait_until("the proxy listens", || {
            assert!(process.status().is_none(), "{self:?} has ended");
            TcpStream::connect((Ipv4Addr::LOCALHOST, ports[0].1)).is_ok()
        });
        process
    }

    fn command(self, directory: &Path, file: &Path) -> Command {
        match self {
            Self::Nginx => {
                let name = file.file_name().unwrap().to_str().unwrap();
                let main = NGINX.replace("DIRECTORY", directory.to_str().unwrap()).replace("FILE", name);
                fs::write(directory.join("nginx.conf"), main).unwrap();
                let mut nginx = program("nginx");
                nginx.args(["-e", "stderr", "-c"]).arg(directory.join("nginx.conf"));
                nginx
            }
            Self::Caddy => {
                let mut caddy = program(downloaded("caddy"));
                caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
                caddy
            }
            Self::Traefik => {
                let mut traefik = program(downloaded("traefik"));
                traefik.arg(format!("--configFile={}", file.display()));
                traefik
            }
            Self::Envoy => {
                let mut envoy = program(downloaded("envoy"));
                envoy.args(["--disable-hot-restart", "--concurrency", "2", "-c"]).arg(file);
                envoy
            }
            Self::Haproxy => {
                let mut haproxy = program("haproxy");
                haproxy.args(["-db", "-f"]).arg(file);
                haproxy
            }
        }
    }
}

/// A program that `deploy/proxies.sh` downloads.
fn downloaded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/proxies").join(name)
}
