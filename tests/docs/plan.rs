//! Plans how to test each block of a page.

use crate::{
    claims,
    page::{Block, Page},
};

/// What the session runs for a block.
pub(crate) struct Step {
    pub(crate) place: String,
    pub(crate) script: String,
    pub(crate) background: bool,
    /// What the script must print, if the page says so.
    pub(crate) output: Option<String>,
}

pub(crate) enum Fate {
    Run,
    TestedElsewhere,
    Picture,
    NotRun { place: String, reason: String },
}

impl Fate {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::TestedElsewhere => "run by other tests",
            Self::Picture => "drawings",
            Self::NotRun { .. } => "not run",
        }
    }
}

#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) fates: Vec<Fate>,
    pub(crate) failures: Vec<String>,
}

pub(crate) fn plan(page: &Page) -> Plan {
    let mut plan = Plan::default();
    for block in page.blocks() {
        match plan.add(page, &block) {
            Ok(fate) => plan.fates.push(fate),
            Err(fault) => plan.failures.push(format!("{}: {fault}", block.place)),
        }
    }
    plan
}

/// The instructions in the comments before a block.
#[derive(Default)]
struct Said {
    fate: Option<Fate>,
    background: bool,
    after: Option<String>,
}

impl Plan {
    fn add(&mut self, page: &Page, block: &Block) -> Result<Fate, String> {
        let said = self.follow_comments(page, block)?;
        let fate = match said.fate {
            Some(fate) => fate,
            None => self.add_by_language(block)?,
        };
        if said.background {
            self.steps.last_mut().ok_or("the block is not run")?.background = true;
        }
        if let Some(commands) = said.after {
            self.push(block, &commands, None);
        }
        Ok(fate)
    }

    fn follow_comments(&mut self, page: &Page, block: &Block) -> Result<Said, String> {
        let mut said = Said::default();
        for comment in &block.comments {
            let (word, rest) = comment.split_once(':').unwrap_or((comment, ""));
            let rest = rest.trim();
            match word {
                "before" => self.push(block, rest, None),
                "after" => said.after = Some(rest.to_owned()),
                "background" => said.background = true,
                "output of" => {
                    self.push(block, rest, Some(block.text.clone()));
                    said.fate = Some(Fate::Run);
                }
                "check" => {
                    let file = format!("cat >\"$BLOCK\" <<'END OF BLOCK'\n{}END OF BLOCK\n", block.text);
                    self.push(block, &(file + rest), None);
                    said.fate = Some(Fate::Run);
                }
                "tested by" => {
                    claims::check(page, block, rest)?;
                    said.fate = Some(Fate::TestedElsewhere);
                }
                "not run" if rest.is_empty() => return Err("the comment gives no reason".to_owned()),
                "not run" => said.fate = Some(Fate::NotRun { place: block.place.clone(), reason: rest.to_owned() }),
                _ => return Err(format!("the comment {comment:?} has no meaning")),
            }
        }
        Ok(said)
    }

    fn add_by_language(&mut self, block: &Block) -> Result<Fate, String> {
        match block.language.as_str() {
            "sh" => self.push(block, &block.text, None),
            "console" => self.push_console(block)?,
            "json" | "text" if block.follows_a_block => {
                let step = self.steps.last_mut().ok_or("no block before this one is run")?;
                step.output = Some(block.text.clone());
            }
            "mermaid" => return Ok(Fate::Picture),
            "" => return Err("the block has no language".to_owned()),
            language => return Err(format!("nothing runs this block of {language}, and no comment says why")),
        }
        Ok(Fate::Run)
    }

    fn push(&mut self, block: &Block, script: &str, output: Option<String>) {
        let script = format!("{script}\n");
        self.steps.push(Step { place: block.place.clone(), script, background: false, output });
    }

    /// Each line that begins with `$ ` is a command, and the lines up to the next command are its output.
    fn push_console(&mut self, block: &Block) -> Result<(), String> {
        let mut commands: Vec<(String, String)> = Vec::new();
        for line in block.text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                commands.push((command.to_owned(), String::new()));
            } else {
                let (_, output) = commands.last_mut().ok_or("the first line does not begin with `$ `")?;
                *output += &format!("{line}\n");
            }
        }
        for (command, output) in commands {
            self.push(block, &command, Some(output));
        }
        Ok(())
    }
}
