//! XML that makers put into their tags, read with bounds: crafted documents must not cost more than their length.

use crate::{
    SlideError,
    error::Result,
    limits::{XML_ATTRIBUTES_MAX, XML_LEN_MAX, XML_NAMESPACES_MAX, XML_NODES_MAX},
    tiff::{Directory, Tiff},
};
use roxmltree::{Document, Node, ParsingOptions};

/// The text of a document, and where it begins in the file.
#[derive(Debug)]
pub(super) struct Xml {
    text: String,
    pub(super) at: u64,
}

impl Xml {
    /// The document in a tag; nothing where there is no such tag.
    pub(super) fn read(tiff: &Tiff<'_>, directory: &Directory, tag: u16) -> Result<Option<Self>> {
        let found = tiff.long_text(directory, tag, XML_LEN_MAX)?;
        Ok(found.map(|(text, at)| Self { text, at }))
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.text.len() as u64
    }

    /// Parses it. Entities of its own are refused.
    pub(super) fn parse(&self) -> Result<Document<'_>> {
        let damaged = |why: &str| SlideError::Damaged(format!("the XML in a tag: {why}"));
        // The parser compares each attribute with those before it, and inherits namespaces by copying them.
        if self.text.split('<').any(|tag| tag.matches('=').count() > XML_ATTRIBUTES_MAX) {
            return Err(damaged("too many attributes"));
        }
        if self.text.matches("xmlns").count() > XML_NAMESPACES_MAX {
            return Err(damaged("too many namespaces"));
        }
        let options = ParsingOptions { nodes_limit: XML_NODES_MAX, ..ParsingOptions::default() };
        Document::parse_with_options(&self.text, options).map_err(|error| damaged(&error.to_string()))
    }
}

/// The elements of this name below `node`, whatever their namespace.
pub(super) fn children<'a, 'input: 'a>(node: Node<'a, 'input>, name: &str) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// The first element along a path of names below `node`.
pub(super) fn find<'a, 'input: 'a>(node: Node<'a, 'input>, path: &[&str]) -> Option<Node<'a, 'input>> {
    path.iter().try_fold(node, |node, name| children(node, name).next())
}

/// The text of the first element along a path, without the space around it.
pub(super) fn text<'a>(node: Node<'a, '_>, path: &[&str]) -> Option<&'a str> {
    find(node, path)?.text().map(str::trim).filter(|text| !text.is_empty())
}

/// An attribute's number.
pub(super) fn number<T: std::str::FromStr>(node: Node<'_, '_>, attribute: &str) -> Option<T> {
    node.attribute(attribute)?.trim().parse().ok()
}

/// The same, where it must be there.
pub(super) fn required<T: std::str::FromStr>(node: Node<'_, '_>, attribute: &str) -> Result<T> {
    number(node, attribute).ok_or_else(|| {
        let name = node.tag_name().name();
        SlideError::Damaged(format!("the XML in a tag: {attribute} of {name} is missing or no number"))
    })
}
