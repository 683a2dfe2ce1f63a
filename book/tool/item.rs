//! The items of a source file, by name.

use std::ops::RangeInclusive;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Attribute, ImplItem, Item as Syntax, ItemImpl, ItemMacro, ItemTrait, Meta, TraitItem};

use crate::name::{short, squeeze};

/// An item that a listing can name.
#[derive(Debug, Clone)]
pub struct Item {
    /// The short spelling: generics and modules of types left out.
    pub name: String,
    /// The whole spelling, which tells `impl From<A> for T` from `impl From<B> for T`.
    pub full: String,
    /// Its lines, counted from 1, doc comments and attributes included.
    pub lines: RangeInclusive<usize>,
    /// Whether other items of the index lie inside.
    pub is_container: bool,
}

/// What is in a file: its items, and the lines that only tests compile.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) items: Vec<Item>,
    pub(crate) test_lines: Vec<RangeInclusive<usize>>,
    /// Modules in files of their own that only tests compile.
    pub(crate) test_modules: Vec<String>,
}

pub(crate) fn lines(span: Span) -> RangeInclusive<usize> {
    span.start().line..=span.end().line
}

impl Index {
    pub(crate) fn of(file: &syn::File) -> Self {
        let mut index = Self::default();
        index.walk(&file.items, "");
        index
    }

    fn add(&mut self, name: String, full: String, spanned: &impl Spanned, is_container: bool) {
        self.items.push(Item { name, full, lines: lines(spanned.span()), is_container });
    }

    /// Adds an item whose name has one spelling.
    fn leaf(&mut self, name: String, spanned: &impl Spanned) {
        self.add(name.clone(), name, spanned, false);
    }

    fn walk(&mut self, items: &[Syntax], path: &str) {
        for item in items {
            if is_test_only(attributes(item)) {
                self.test_lines.push(lines(item.span()));
                if let Syntax::Mod(module) = item
                    && module.content.is_none()
                {
                    self.test_modules.push(module.ident.to_string());
                }
                continue;
            }
            match item {
                Syntax::Mod(module) => {
                    if let Some((_, inner)) = &module.content {
                        let name = format!("{path}{}", module.ident);
                        let title = format!("mod {name}");
                        self.add(title.clone(), title, item, true);
                        self.walk(inner, &format!("{name}::"));
                    }
                }
                Syntax::Impl(block) => self.walk_impl(block, path),
                Syntax::Trait(definition) => self.walk_trait(definition, path),
                Syntax::Macro(call) => self.walk_macro(call, path),
                _ => {
                    if let Some(ident) = ident(item) {
                        self.leaf(format!("{path}{ident}"), item);
                    }
                }
            }
        }
    }

    fn walk_impl(&mut self, block: &ItemImpl, path: &str) {
        let full_type = format!("{path}{}", squeeze(block.self_ty.to_token_stream()));
        let short_type = format!("{path}{}", short(&squeeze(block.self_ty.to_token_stream())));
        let of_trait = block.trait_.as_ref().map(|(path, _)| squeeze(path.to_token_stream()));
        let (name, full) = match &of_trait {
            Some(full) => (format!("{} for {short_type}", short(full)), format!("{full} for {full_type}")),
            None => (format!("impl {short_type}"), format!("impl {full_type}")),
        };
        self.add(name, full, block, !block.items.is_empty());
        for item in &block.items {
            let (attributes, ident) = match item {
                ImplItem::Fn(item) => (&item.attrs, &item.sig.ident),
                ImplItem::Const(item) => (&item.attrs, &item.ident),
                ImplItem::Type(item) => (&item.attrs, &item.ident),
                _ => continue,
            };
            if is_test_only(attributes) {
                self.test_lines.push(lines(item.span()));
                continue;
            }
            let (name, full) = match &of_trait {
                Some(full) => {
                    (format!("<{short_type} as {}>::{ident}", short(full)), format!("<{full_type} as {full}>::{ident}"))
                }
                None => (format!("{short_type}::{ident}"), format!("{full_type}::{ident}")),
            };
            self.add(name, full, item, false);
        }
    }

    fn walk_trait(&mut self, definition: &ItemTrait, path: &str) {
        let name = format!("{path}{}", definition.ident);
        self.add(name.clone(), name.clone(), definition, !definition.items.is_empty());
        for item in &definition.items {
            let ident = match item {
                TraitItem::Fn(item) => &item.sig.ident,
                TraitItem::Const(item) => &item.ident,
                TraitItem::Type(item) => &item.ident,
                _ => continue,
            };
            self.leaf(format!("{name}::{ident}"), item);
        }
    }

    /// A macro's definition; or a call like `pin_project! { struct Sleep { … } }`, whose items count as items.
    fn walk_macro(&mut self, call: &ItemMacro, path: &str) {
        if let Some(ident) = &call.ident {
            return self.leaf(format!("{path}{ident}"), call);
        }
        let tokens = call.mac.tokens.clone();
        let called = squeeze(call.mac.path.to_token_stream());
        match syn::parse2::<syn::File>(tokens.clone()) {
            Ok(inner) => {
                for name in inner.items.iter().filter_map(ident) {
                    let name = format!("{called}!{path}{name}");
                    self.add(name.clone(), name, call, true);
                }
                self.walk(&inner.items, path);
            }
            // Not Rust as we know it: the call as a whole stands for each item that it seems to hold.
            Err(_) => {
                for name in declared_in(tokens) {
                    self.leaf(format!("{path}{name}"), call);
                }
            }
        }
    }
}

/// The words that follow `struct`, `enum` and the like.
fn declared_in(tokens: TokenStream) -> Vec<String> {
    let mut names = Vec::new();
    let mut after_keyword = false;
    for token in tokens {
        let TokenTree::Ident(word) = token else {
            after_keyword = false;
            continue;
        };
        let word = word.to_string();
        let keywords = ["struct", "enum", "union", "trait", "fn", "const", "static", "type"];
        let is_keyword = keywords.contains(&word.as_str());
        if after_keyword && !is_keyword {
            names.push(word);
        }
        after_keyword = is_keyword;
    }
    names
}

/// The name of an item that is called by one word.
fn ident(item: &Syntax) -> Option<String> {
    Some(match item {
        Syntax::Const(item) => item.ident.to_string(),
        Syntax::Enum(item) => item.ident.to_string(),
        Syntax::Fn(item) => item.sig.ident.to_string(),
        Syntax::Static(item) => item.ident.to_string(),
        Syntax::Struct(item) => item.ident.to_string(),
        Syntax::Trait(item) => item.ident.to_string(),
        Syntax::TraitAlias(item) => item.ident.to_string(),
        Syntax::Type(item) => item.ident.to_string(),
        Syntax::Union(item) => item.ident.to_string(),
        _ => return None,
    })
}

fn attributes(item: &Syntax) -> &[Attribute] {
    match item {
        Syntax::Const(item) => &item.attrs,
        Syntax::Enum(item) => &item.attrs,
        Syntax::Fn(item) => &item.attrs,
        Syntax::Impl(item) => &item.attrs,
        Syntax::Macro(item) => &item.attrs,
        Syntax::Mod(item) => &item.attrs,
        Syntax::Static(item) => &item.attrs,
        Syntax::Struct(item) => &item.attrs,
        Syntax::Trait(item) => &item.attrs,
        Syntax::Type(item) => &item.attrs,
        Syntax::Union(item) => &item.attrs,
        Syntax::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether a `#[test]` or a `#[cfg(…)]` keeps the item out of every build but those for tests.
fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args::<Meta>().is_ok_and(|predicate| !outcomes(&predicate).0)
        }
        _ => false,
    })
}

/// Whether a predicate may be true, and whether it may be false, where `test` is not set.
fn outcomes(predicate: &Meta) -> (bool, bool) {
    let Meta::List(list) = predicate else {
        return (!predicate.path().is_ident("test"), true);
    };
    let parser = syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated;
    let Ok(inner) = list.parse_args_with(parser) else { return (true, true) };
    let inner: Vec<(bool, bool)> = inner.iter().map(outcomes).collect();
    if list.path.is_ident("all") {
        (inner.iter().all(|o| o.0), inner.iter().any(|o| o.1))
    } else if list.path.is_ident("any") {
        (inner.iter().any(|o| o.0), inner.iter().all(|o| o.1))
    } else if list.path.is_ident("not") && inner.len() == 1 {
        (inner[0].1, inner[0].0)
    } else {
        (true, true)
    }
}
