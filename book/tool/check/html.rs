//! Reads the tags of a page, as a browser's tokenizer would.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::{Rawtext, ScriptData};
use html5ever::tokenizer::{
    BufferQueue, StartTag, Tag as Token, TagToken, Token as Tokens, TokenSink, TokenSinkResult, Tokenizer,
    TokenizerOpts,
};

/// An opening tag.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// An attribute, by its name in lower case.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a page holds, in order.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) tags: Vec<Tag>,
    /// What stands in `<style>` elements.
    pub(crate) styles: String,
}

impl Page {
    pub(crate) fn parse(html: &str) -> Self {
        let input = BufferQueue::default();
        input.push_back(StrTendril::from_slice(html));
        let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
        let _ = tokenizer.feed(&input);
        tokenizer.end();
        tokenizer.sink.page.into_inner()
    }

    /// Whether something on the page can be linked to by this name.
    pub(crate) fn has_anchor(&self, anchor: &str) -> bool {
        self.tags.iter().any(|tag| {
            tag.attribute("id") == Some(anchor) || (tag.name == "a" && tag.attribute("name") == Some(anchor))
        })
    }
}

#[derive(Default)]
struct Sink {
    page: RefCell<Page>,
    in_style: RefCell<bool>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Tokens, _line: u64) -> TokenSinkResult<()> {
        match token {
            TagToken(tag) => {
                let is_start = tag.kind == StartTag;
                *self.in_style.borrow_mut() = is_start && &*tag.name == "style";
                if is_start {
                    let after = after(&tag);
                    self.page.borrow_mut().tags.push(read(&tag));
                    return after;
                }
            }
            Tokens::CharacterTokens(text) if *self.in_style.borrow() => {
                self.page.borrow_mut().styles.push_str(&text);
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// What follows these tags is text, whatever it looks like.
fn after(tag: &Token) -> TokenSinkResult<()> {
    match &*tag.name {
        "script" => TokenSinkResult::RawData(ScriptData),
        "style" => TokenSinkResult::RawData(Rawtext),
        _ => TokenSinkResult::Continue,
    }
}

fn read(tag: &Token) -> Tag {
    let attributes =
        tag.attrs.iter().map(|attribute| (attribute.name.local.to_string(), attribute.value.to_string())).collect();
    Tag { name: tag.name.to_string(), attributes }
}
