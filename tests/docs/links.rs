//! The links of the pages to files and headings of the project.

use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Tag, TagEnd};

use crate::page::Page;

/// The broken links of a page, including its pictures.
pub(crate) fn broken(page: &Page) -> Vec<String> {
    let targets = page.events().filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url),
        _ => None,
    });
    let internal = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    internal.filter_map(|target| Some(format!("{}: {target}: {}", page.name, fault(page, &target)?))).collect()
}

fn fault(page: &Page, target: &str) -> Option<&'static str> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() { PathBuf::from(&page.name) } else { beside(page, path) };
    if !file.exists() {
        return Some("there is no such file");
    }
    if anchor.is_empty() {
        return None;
    }
    let page = Page::read(file.to_str().unwrap());
    (!anchors(&page).iter().any(|known| known == anchor)).then_some("the page has no such heading")
}

/// The path of the file, without `..`, so that no link leaves the project and returns to it.
fn beside(page: &Page, path: &str) -> PathBuf {
    let mut file = PathBuf::new();
    for part in Path::new(&page.name).parent().unwrap().join(path).components() {
        match part {
            Component::ParentDir => {
                assert!(file.pop(), "{}: {path} leads out of the project", page.name);
            }
            other => file.push(other),
        }
    }
    file
}

/// The anchors that GitHub gives to the headings: lowercase, hyphens for blanks, and no punctuation.
fn anchors(page: &Page) -> Vec<String> {
    let (mut anchors, mut heading) = (Vec::new(), None);
    for event in page.events() {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => anchors.push(anchor(&heading.take().unwrap())),
            _ => {}
        }
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}
