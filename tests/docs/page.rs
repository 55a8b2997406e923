//! The code blocks of a page, and the comments before them.

use std::fs;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

pub(crate) struct Page {
    /// The path from the top directory of the project.
    pub(crate) name: String,
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) struct Block {
    /// The page and the line.
    pub(crate) place: String,
    pub(crate) language: String,
    pub(crate) text: String,
    /// The texts of the comments right before the block.
    pub(crate) comments: Vec<String>,
    /// Whether only blank lines are between the block before and this one.
    pub(crate) follows_a_block: bool,
}

impl Page {
    pub(crate) fn read(name: &str) -> Self {
        Self { name: name.to_owned(), text: fs::read_to_string(name).unwrap() }
    }

    pub(crate) fn events(&self) -> Parser<'_> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES)
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut comments, mut html) = (Vec::<Block>::new(), Vec::new(), String::new());
        let (mut follows_a_block, mut inside) = (false, false);
        for (event, range) in self.events().into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language = match kind {
                        CodeBlockKind::Fenced(language) => language.into_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    let line = self.text[..range.start].lines().count() + 1;
                    let place = format!("{}:{line}", self.name);
                    let comments = std::mem::take(&mut comments);
                    blocks.push(Block { place, language, text: String::new(), comments, follows_a_block });
                    inside = true;
                }
                Event::Text(text) if inside => blocks.last_mut().unwrap().text.push_str(&text),
                Event::End(TagEnd::CodeBlock) => (inside, follows_a_block) = (false, true),
                Event::Start(Tag::HtmlBlock) => html.clear(),
                Event::Html(text) => html.push_str(&text),
                Event::End(TagEnd::HtmlBlock) => {
                    comments.extend(comments_of(&html));
                    follows_a_block = false;
                }
                _ => {
                    comments.clear();
                    follows_a_block = false;
                }
            }
        }
        blocks
    }
}

fn comments_of(html: &str) -> impl Iterator<Item = String> {
    html.split("<!--").skip(1).filter_map(|rest| rest.split_once("-->")).map(|(comment, _)| comment.trim().to_owned())
}
