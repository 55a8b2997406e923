//! The programs in `docs/resource-servers.md`.

use std::fs;

use crate::python::repository_file;

/// The only code block of this language that contains `words`.
pub(crate) fn block(language: &str, words: &str) -> String {
    let text = fs::read_to_string(repository_file("docs/resource-servers.md")).unwrap();
    let start = format!("```{language}\n");
    let blocks = text.split(&start).skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let found: Vec<_> = blocks.filter(|block| block.contains(words)).collect();
    assert_eq!(found.len(), 1, "blocks of {language} with {words:?}: {found:?}");
    found[0].to_owned()
}
