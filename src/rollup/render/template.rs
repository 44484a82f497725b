//! `{{hole}}` templates: every hole must be filled, and filling is one pass, so that a value is never a template.

use std::collections::BTreeMap;

use crate::rollup::quote::{identifier, literal};
use crate::rollup::shape::{SCHEMA, Shape};

/// A text with holes, and what goes into them.
pub(super) struct Template {
    text: &'static str,
    values: BTreeMap<&'static str, String>,
}

impl Template {
    pub fn new(text: &'static str) -> Template {
        Template { text, values: BTreeMap::new() }
    }

    pub fn set(mut self, hole: &'static str, value: String) -> Template {
        self.values.insert(hole, value);
        self
    }

    /// Fills the names of the rollup's own tables.
    pub fn names(self, shape: &Shape) -> Template {
        let own =
            |suffix: &str| format!("{SCHEMA}.{}", identifier(&format!("{}_{suffix}", shape.definition.name)));
        self.set("target", shape.target.quoted())
            .set("mark", own("mark"))
            .set("wide", own("wide"))
            .set("watch", own("watch"))
            .set("base", own("base"))
            .set("name_literal", literal(shape.definition.name.as_str()))
    }

    /// The text with every hole filled.
    ///
    /// # Panics
    ///
    /// When a hole has no value: a fault in a template, which the tests would show.
    pub fn render(self) -> String {
        let mut rendered = String::with_capacity(self.text.len() * 2);
        let mut rest = self.text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (hole, tail) = after.split_once("}}").expect("every hole of a template is closed");
            rendered.push_str(before);
            match self.values.get(hole) {
                Some(value) => rendered.push_str(value),
                None => panic!("template hole {{{{{hole}}}}} has no value"),
            }
            rest = tail;
        }
        rendered.push_str(rest);
        rendered
    }
}
