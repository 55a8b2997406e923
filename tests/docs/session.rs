//! Runs the steps of a page in one bash.

use std::{env, fs, path::Path, process::Stdio};

use crate::{
    namespace, output,
    page::Page,
    plan::{Fate, Step, plan},
};

pub(crate) struct Session {
    pub(crate) fates: Vec<Fate>,
    pub(crate) failures: Vec<String>,
}

pub(crate) fn run(page: &Page) -> Session {
    let mut plan = plan(page);
    if !plan.steps.is_empty() {
        let directory = tempfile::tempdir().unwrap();
        run_steps(directory.path(), &plan.steps);
        let faults = plan.steps.iter().enumerate().filter_map(|(n, step)| {
            Some(format!("{}: {}\n--- the commands:\n{}", step.place, fault(directory.path(), n, step)?, step.script))
        });
        plan.failures.extend(faults);
    }
    Session { fates: plan.fates, failures: plan.failures }
}

/// Each step is a script that one bash reads, so that variables last from block to block. A step that ends has a file
/// `N.end`, and a step with a command that failed has a file `N.failed`.
fn run_steps(directory: &Path, steps: &[Step]) {
    let mut driver = include_str!("prelude.sh").to_owned();
    for (n, step) in steps.iter().enumerate() {
        fs::write(directory.join(format!("{n}.sh")), &step.script).unwrap();
        let end = if step.background { " &\nready\n" } else { "\n" };
        if let Some(output) = &step.output {
            fs::write(directory.join(format!("{n}.expected")), output).unwrap();
        }
        driver += &format!(
            "step={n}\nas_here \"$steps/{n}.sh\"\n. \"$steps/{n}.sh\" >\"$steps/{n}.out\" 2>&1{end}remember {n}\ntouch \"$steps/{n}.end\"\n"
        );
    }
    let path = directory.join("driver.sh");
    fs::write(&path, driver).unwrap();
    let steps = directory.display();
    let environment = [
        format!("PATH={steps}/bin:{}:/usr/sbin:/sbin", env::var("PATH").unwrap()),
        format!("HOME={steps}/home"),
        // Hashing threads have the lowest priority, so a sign-in may take long on a busy machine.
        "REQUEST_TIMEOUT_SECONDS=20".to_owned(),
        format!("BLOCK={steps}/block"),
        format!("steps={steps}"),
        format!("project={}", env::current_dir().unwrap().display()),
        format!("server={}", env!("CARGO_BIN_EXE_auth-service")),
    ];
    let mut command = namespace::command(&["env", "-i"]);
    command.args(environment).args(["timeout", "--kill-after=1", "120", "bash", "--norc"]).arg(path);
    let output = command.stdin(Stdio::null()).output().unwrap();
    if !output.stderr.is_empty() {
        println!("{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn fault(directory: &Path, n: usize, step: &Step) -> Option<String> {
    let read = |kind: &str| fs::read_to_string(directory.join(format!("{n}.{kind}")));
    let printed = read("out").unwrap_or_default();
    if let Ok(failed) = read("failed") {
        return Some(format!("{failed}--- printed:\n{printed}"));
    }
    if read("end").is_err() {
        return Some(format!("did not end\n--- printed:\n{printed}"));
    }
    let expected = step.output.as_ref()?;
    let differs = !output::same(&printed, expected);
    differs.then(|| format!("prints something else\n--- the page:\n{expected}\n--- printed:\n{printed}"))
}
