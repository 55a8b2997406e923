//! The pictures of the documentation.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{program, run_to_end};

const PICTURES: &str = "docs/pictures";

fn files_in(directory: &str, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == extension)).collect()
}

fn pictures() -> Vec<PathBuf> {
    let pictures = files_in(PICTURES, "svg");
    assert!(pictures.len() >= 6, "{pictures:?}");
    pictures
}

/// Runs Python, which must succeed.
fn python(arguments: &[&str]) -> Command {
    let mut command = program("python3");
    command.args(arguments);
    command
}

#[test]
fn each_picture_is_what_the_script_draws() {
    let directory = tempfile::tempdir().unwrap();
    let output = run_to_end(python(&["docs/pictures/draw.py", directory.path().to_str().unwrap()]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for picture in pictures() {
        let drawn = fs::read_to_string(directory.path().join(picture.file_name().unwrap()));
        let same = drawn.is_ok_and(|drawn| drawn == fs::read_to_string(&picture).unwrap());
        assert!(same, "{} is out of date; run python3 docs/pictures/draw.py", picture.display());
    }
}

#[test]
fn each_picture_is_well_formed_and_has_words_for_screen_readers() {
    let check = "import sys, xml.etree.ElementTree as tree
for path in sys.argv[1:]:
    root, of_svg = tree.parse(path).getroot(), '{http://www.w3.org/2000/svg}'
    assert root.tag == of_svg + 'svg', path
    assert all(len(root.find(of_svg + name).text) > 20 for name in ['title', 'desc']), path";
    let pictures = pictures();
    let paths: Vec<_> = pictures.iter().map(|path| path.to_str().unwrap()).collect();
    let output = run_to_end(python(&[&["-c", check], &paths[..]].concat()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn no_picture_loads_anything() {
    for picture in pictures() {
        let text = fs::read_to_string(&picture).unwrap().replace("http://www.w3.org/2000/svg", "").replace("url(#", "");
        for word in ["http", "//", "href", "src=", "url(", "@import", "<script", "<image", "<foreignObject", "<!"] {
            assert!(!text.contains(word), "{} has {word}", picture.display());
        }
    }
}

#[test]
fn a_page_shows_each_picture() {
    let pages = [files_in(".", "md"), files_in("docs", "md")].concat();
    let text: String = pages.iter().map(|page| fs::read_to_string(page).unwrap()).collect();
    for picture in pictures() {
        let name = Path::new("pictures").join(picture.file_name().unwrap());
        assert!(text.contains(&format!("{})", name.display())), "no page shows {}", picture.display());
    }
}
