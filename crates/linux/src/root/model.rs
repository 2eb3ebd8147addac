//! A model of a root: trees as values, their union, and how a path is resolved in them.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::Path};

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};

pub(super) const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(Vec<u8>),
    Link(String),
    Whiteout,
    Directory { opaque: bool, entries: Entries },
}

pub(super) type Entries = BTreeMap<&'static str, Node>;

/// Where a path leads in the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Missing,
    Directory,
    File(Vec<u8>),
    TooManyLinks,
}

/// Paths of names, `.`, `..` and empty parts, absolute or not.
pub(super) fn paths(most: usize) -> impl Strategy<Value = String> {
    let part = prop_oneof![
        8 => proptest::sample::select(&NAMES[..]),
        4 => Just(".."),
        1 => Just("."),
        1 => Just(""),
    ];
    (any::<bool>(), proptest::collection::vec(part, 1..=most)).prop_filter_map(
        "a link has content",
        |(absolute, parts)| {
            let path = format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"));
            (!path.is_empty()).then_some(path)
        },
    )
}

/// Trees; only a layer of an overlay has whiteouts, and opaque directories where `opaque` allows.
pub(super) fn trees(whiteouts: bool, opaque: bool) -> impl Strategy<Value = Entries> {
    let leaf = prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 1..4).prop_map(Node::File),
        5 => paths(4).prop_map(Node::Link),
        if whiteouts { 2 } else { 0 } => Just(Node::Whiteout),
    ];
    let node = leaf.prop_recursive(3, 24, 3, move |node| {
        let opaque = if opaque {
            any::<bool>().boxed()
        } else {
            Just(false).boxed()
        };
        (opaque, entries(node)).prop_map(|(opaque, entries)| Node::Directory { opaque, entries })
    });
    entries(node)
}

fn entries(node: impl Strategy<Value = Node>) -> impl Strategy<Value = Entries> {
    proptest::collection::btree_map(proptest::sample::select(&NAMES[..]), node, 0..=3)
}

/// Makes the tree on the disk.
pub(super) fn make(entries: &Entries, at: &Path) {
    for (name, node) in entries {
        let path = at.join(name);
        match node {
            Node::File(content) => fs::write(path, content).unwrap(),
            Node::Link(content) => symlink(content, path).unwrap(),
            Node::Whiteout => make_whiteout(&path).unwrap(),
            Node::Directory { opaque, entries } => {
                fs::create_dir(&path).unwrap();
                if *opaque {
                    mark_opaque(&path).unwrap();
                }
                make(entries, &path);
            }
        }
    }
}

pub(super) fn make_whiteout(path: &Path) -> rustix::io::Result<()> {
    let device = rustix::fs::makedev(0, 0);
    mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), device)
}

pub(super) fn mark_opaque(path: &Path) -> rustix::io::Result<()> {
    setxattr(path, "user.overlay.opaque", b"y", XattrFlags::empty())
}

/// What overlayfs shows of `layers`, the top-most first.
pub(super) fn union(layers: &[Entries]) -> Entries {
    let mut shown = Entries::new();
    for name in NAMES {
        let mut merged: Vec<Entries> = Vec::new();
        for node in layers.iter().filter_map(|layer| layer.get(name)) {
            match node {
                Node::Directory { opaque, entries } => {
                    merged.push(entries.clone());
                    if *opaque {
                        break;
                    }
                }
                Node::Whiteout => break,
                other => {
                    if merged.is_empty() {
                        shown.insert(name, other.clone());
                    }
                    break;
                }
            }
        }
        if !merged.is_empty() {
            let entries = union(&merged);
            shown.insert(
                name,
                Node::Directory {
                    opaque: false,
                    entries,
                },
            );
        }
    }
    shown
}

/// Where `path` leads from the root, and whether a `..` at the root was met on the way.
pub(super) fn resolve(root: &Entries, path: &str) -> (bool, End) {
    let mut here: Vec<&'static str> = Vec::new();
    let mut rest: String = path.to_owned();
    let mut climbs = false;
    let mut links = 0;
    loop {
        let trimmed = rest.trim_start_matches('/');
        if trimmed.is_empty() {
            return (climbs, End::Directory);
        }
        let (part, behind) = trimmed.split_at(trimmed.find('/').unwrap_or(trimmed.len()));
        let behind = behind.to_owned();
        match part {
            "." => {}
            ".." => climbs |= here.pop().is_none(),
            name => match directory(root, &here).get_key_value(name) {
                None | Some((_, Node::Whiteout)) => return (climbs, End::Missing),
                Some((_, Node::File(content))) => {
                    let end = if behind.is_empty() {
                        End::File(content.clone())
                    } else {
                        End::Missing
                    };
                    return (climbs, end);
                }
                Some((name, Node::Directory { .. })) => here.push(name),
                Some((_, Node::Link(content))) => {
                    links += 1;
                    if links > 40 {
                        return (climbs, End::TooManyLinks);
                    }
                    if content.starts_with('/') {
                        here.clear();
                    }
                    rest = format!("{content}{behind}");
                    continue;
                }
            },
        }
        rest = behind;
    }
}

fn directory<'a>(root: &'a Entries, way: &[&'static str]) -> &'a Entries {
    way.iter()
        .fold(root, |entries, name| match entries.get(name) {
            Some(Node::Directory { entries, .. }) => entries,
            _ => unreachable!("only directories are entered"),
        })
}
