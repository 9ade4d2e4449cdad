//! What the description must be whatever is in it.

use super::{
    document::{document, names_in_both},
    page, themes,
};
use microtome_proto::Code;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What only servers are told, when they call each other.
const BETWEEN_SERVERS: &[Code] = &[Code::WrongCluster, Code::EncryptionNeeded];

#[test]
fn each_operation_has_an_id_and_is_told_of_once() {
    let themes = themes::all();
    let operations: Vec<_> = themes.iter().flat_map(|theme| &theme.operations).collect();
    let ids: BTreeSet<_> = operations.iter().map(|operation| operation.id).collect();
    let addresses: BTreeSet<_> = operations.iter().map(|operation| (operation.method, operation.path)).collect();
    assert_eq!((ids.len(), addresses.len()), (operations.len(), operations.len()));
    for operation in &operations {
        let places = operation.path.matches('{').count();
        let named = operation.parameters.iter().filter(|given| operation.path.contains(&format!("{{{}}}", given.name)));
        assert_eq!(named.count(), places, "{}", operation.path);
        for link in operation.answers.iter().flat_map(|answer| &answer.links) {
            assert!(ids.contains(link.operation), "{} leads to {}", operation.id, link.operation);
        }
        let statuses: BTreeSet<_> = operation.answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses.len(), operation.answers.len(), "{}: an answer is told of twice", operation.id);
    }
}

#[test]
fn each_code_is_told_of_where_it_may_be_met() {
    let themes = themes::all();
    let told: Vec<_> =
        themes.iter().flat_map(|theme| &theme.operations).flat_map(|operation| &operation.codes).collect();
    let missing: Vec<_> =
        Code::ALL.iter().filter(|code| !told.contains(code) && !BETWEEN_SERVERS.contains(code)).collect();
    assert!(missing.is_empty(), "no operation tells of {missing:?}");
}

/// A type that is sent and received has one form in both directions, or the document would tell a wrong one.
#[test]
fn a_name_has_one_form() {
    for (name, read, written) in names_in_both(&themes::all()) {
        assert_eq!(read, written, "{name}");
    }
}

#[test]
fn texts_are_for_users_of_the_api() {
    let text = document(&themes::all(), true).to_string();
    assert!(!text.contains("[`") && !text.contains("crate::"), "a link into the sources is in the description");
    for code in Code::ALL {
        assert!(page::problems().contains(&format!("id=\"{code}\"")), "{code}");
    }
    let pages = page::operations(&themes::all());
    assert!(pages.contains("href=\"/docs/problems#no_space\""));
    for reference in pages.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(pages.contains(&format!("id=\"{reference}\"")), "#{reference} leads nowhere");
    }
    assert!(!pages.contains("src=") && !pages.contains("@import"), "the pages need nothing from elsewhere");
}

#[test]
fn numbers_end_where_ours_do() {
    let document = document(&themes::all(), true);
    let id = document.pointer("/paths/~1v1~1coordinators~1{id}/delete/parameters/0/schema/maximum");
    assert_eq!(id.and_then(Value::as_u64), Some(u64::MAX));
    let own = document.pointer("/components/schemas/CreateMaterial/properties/size/maximum");
    assert_eq!(own.and_then(Value::as_u64), Some(1 << 40), "a limit of its own stays");
}

/// All that a schema refers to is there.
#[test]
fn references_lead_somewhere() {
    fn references(value: &Value, found: &mut BTreeMap<String, usize>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match (name.as_str(), value.as_str()) {
                ("$ref", Some(to)) => *found.entry(to.to_owned()).or_default() += 1,
                _ => references(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    for checks_tokens in [true, false] {
        let document = document(&themes::all(), checks_tokens);
        let mut found = BTreeMap::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found.keys() {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
    }
}
