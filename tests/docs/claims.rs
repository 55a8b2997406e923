//! Checks the comments that say that another test covers a block.

use std::{fs, path::Path};

use crate::page::{Block, Page};

/// Checks a claim, which is `FILE` or `FILE::TEST`.
pub(crate) fn check(page: &Page, block: &Block, claim: &str) -> Result<(), String> {
    let (file, test) = claim.split_once("::").map_or((claim, None), |(file, test)| (file, Some(test)));
    let source = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let Some(test) = test else {
        let missing = block.text.lines().map(str::trim).find(|line| !source.contains(line));
        return missing.map_or(Ok(()), |line| Err(format!("{file} has no line {line:?}")));
    };
    if ![format!("fn {test}("), format!("\"{test}\""), format!("{test}()")].iter().any(|name| source.contains(name)) {
        return Err(format!("{file} has no test {test}"));
    }
    // The code that reads the page may be in another file beside the test.
    let directory = fs::read_dir(Path::new(file).parent().unwrap()).unwrap();
    let names_the_page = |path: &Path| fs::read_to_string(path).is_ok_and(|text| text.contains(name(page, file)));
    if directory.map(|entry| entry.unwrap().path()).any(|path| names_the_page(&path)) {
        return Ok(());
    }
    Err(format!("neither {file} nor a file beside it names {}", page.name))
}

/// How a test names the page: by its path, or by its name if the test is below the same directory.
fn name<'a>(page: &'a Page, file: &str) -> &'a str {
    let (directory, name) = page.name.rsplit_once('/').unwrap_or(("", &page.name));
    if !directory.is_empty() && Path::new(file).starts_with(directory) { name } else { &page.name }
}
