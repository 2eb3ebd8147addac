//! `--volume`, `--mount` and `--tmpfs`.

use super::{OptionFacts, absolute, quantity};
use crate::{Fault, Mount, Platform};

/// `[SOURCE:]TARGET[:OPTION,…]`. Without a source, and then without options, a volume that nobody has named.
pub(super) fn volume(text: &str, facts: &OptionFacts<'_>) -> Result<Mount, Fault> {
    let fault = |reason: &str| Fault::of_value("--volume", text, reason);
    if facts.platform == Platform::Linux && text.starts_with('/') && !text.contains(':') {
        return Ok(Mount {
            kind: "volume".to_owned(),
            options: vec!["tmpcopyup".to_owned()],
            ..Mount::bind("", text)
        });
    }
    let mut parts = parts(text, facts.platform).into_iter();
    let source = parts.next().unwrap_or_default();
    let target = parts.next().ok_or_else(|| {
        fault("has no source: write SOURCE:TARGET, or /TARGET alone for a volume without a name")
    })?;
    let options = parts.next();
    if parts.next().is_some() {
        return Err(fault("has too many parts: write SOURCE:TARGET[:OPTIONS]"));
    }
    if source.is_empty() || target.is_empty() {
        return Err(fault("has an empty part: write SOURCE:TARGET[:OPTIONS]"));
    }
    let path = source_path(source, facts);
    let is_volume = path.is_none();
    let mut mount = Mount::bind(path.unwrap_or_else(|| source.to_owned()), target);
    if is_volume {
        "volume".clone_into(&mut mount.kind);
    }
    let mut copies = is_volume;
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        match option {
            "rw" => {}
            "ro" => mount.writable = false,
            // Advice for Docker Desktop's file sharing; here every mount is consistent.
            "consistent" | "cached" | "delegated" => {}
            // Without SELinux there is no label that keeps the container from the source.
            "z" | "Z" if facts.platform == Platform::Linux && !(facts.selinux)() => {}
            "z" | "Z" => {
                return Err(fault(
                    "asks for SELinux labels on the source, which Hoist does not change: leave the option out, and where this machine has \
                     SELinux, label the source yourself (chcon -R -t container_file_t)",
                ));
            }
            "nocopy" if is_volume => copies = false,
            "nocopy" => return Err(fault("has \"nocopy\", which is for named volumes")),
            other => mount.options.push(other.to_owned()),
        }
    }
    if copies {
        mount.options.push("tmpcopyup".to_owned());
    }
    Ok(mount)
}

/// What stands between colons; on Windows the one after the letter of a drive is part of the path.
fn parts(text: &str, platform: Platform) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices(':') {
        let part = text.get(begin..at).unwrap_or_default();
        let is_drive = platform == Platform::Windows
            && part.len() == 1
            && part.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && text
                .get(at + 1..)
                .is_some_and(|rest| rest.starts_with(['\\', '/']));
        if !is_drive {
            parts.push(part);
            begin = at + 1;
        }
    }
    parts.push(text.get(begin..).unwrap_or_default());
    parts
}

/// `type=bind|volume|tmpfs,source=…,target=…,…`, in the way of a line of CSV.
pub(super) fn mount(text: &str, facts: &OptionFacts<'_>) -> Result<Mount, Fault> {
    let fault = |reason: String| Fault::of_value("--mount", text, reason);
    let fields = csv(text).ok_or_else(|| fault("has a '\"' that is not closed".to_owned()))?;
    let mut kind = "volume".to_owned();
    let mut mount = Mount {
        writable: true,
        ..Mount::default()
    };
    let (mut recursive, mut must_be_read_only, mut copies) = (true, false, true);
    let (mut bind_keys, mut tmpfs_keys, mut volume_keys) = (false, false, false);
    for field in &fields {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field.as_str(), None),
        };
        let key = key.to_ascii_lowercase();
        bind_keys |= key.starts_with("bind-");
        tmpfs_keys |= key.starts_with("tmpfs-");
        volume_keys |= key.starts_with("volume-");
        let flag = || match value {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(fault(format!("has a {key} that is neither true nor false"))),
        };
        match (key.as_str(), value) {
            ("readonly" | "ro", _) => mount.writable = !flag()?,
            ("bind-nonrecursive", _) => recursive = !flag()?,
            ("type", Some(value)) => kind = value.to_ascii_lowercase(),
            ("source" | "src", Some(value)) => value.clone_into(&mut mount.source),
            ("target" | "dst" | "destination", Some(value)) => {
                value.clone_into(&mut mount.destination);
            }
            ("bind-propagation", Some(value)) => mount.options.push(value.to_ascii_lowercase()),
            ("bind-recursive", Some("enabled")) | ("consistency", Some(_)) => {}
            ("bind-recursive", Some("disabled")) => recursive = false,
            ("bind-recursive", Some("writable")) => mount.writable_below = true,
            ("bind-recursive", Some("readonly")) => must_be_read_only = true,
            ("volume-nocopy", _) => copies = !flag()?,
            ("volume-subpath", Some(value)) => {
                mount.options.push(format!("X-mount.subdir={value}"));
            }
            // `uids=0-1000-1;gids=0-1000-1`, as podman has it.
            ("idmap" | "ridmap", Some(maps)) if maps.contains('=') => {
                mount.options.push(format!("{key}={maps}"));
            }
            ("idmap" | "ridmap" | "tmpcopyup", _) => {
                if flag()? {
                    mount.options.push(key.clone());
                }
            }
            ("tmpfs-size", Some(value)) => {
                let size = quantity::bytes(value).ok_or_else(|| {
                    fault("has a tmpfs-size that is no size such as 64m".to_owned())
                })?;
                mount.options.push(format!("size={size}"));
            }
            ("tmpfs-mode", Some(value)) => {
                let mode = u32::from_str_radix(value, 8)
                    .ok()
                    .filter(|mode| *mode <= 0o7777)
                    .ok_or_else(|| {
                        fault("has a tmpfs-mode that is no octal mode such as 1777".to_owned())
                    })?;
                mount.options.push(format!("mode={mode:o}"));
            }
            (_, None) => return Err(fault(format!("has {field:?}, which must be KEY=VALUE"))),
            _ => return Err(fault(format!("has {field:?}, which is not known"))),
        }
    }
    if must_be_read_only && mount.writable {
        return Err(fault(
            "has bind-recursive=readonly, which is for a mount that is readonly".to_owned(),
        ));
    }
    match kind.as_str() {
        _ if volume_keys && kind != "volume" => {
            return Err(fault(format!("mixes volume-* with type {kind}")));
        }
        "bind" if tmpfs_keys => return Err(fault("mixes tmpfs-* with type bind".to_owned())),
        "bind" => {
            if mount.source.is_empty() {
                return Err(fault("has no source".to_owned()));
            }
            mount.source = absolute(mount.source, facts);
            if !recursive {
                mount.options.push("bind".to_owned());
            }
        }
        "tmpfs" if bind_keys => return Err(fault("mixes bind-* with type tmpfs".to_owned())),
        "tmpfs" => mount.kind = kind,
        "volume" if tmpfs_keys || bind_keys => {
            return Err(fault("mixes bind-* or tmpfs-* with type volume".to_owned()));
        }
        "volume" => {
            if copies {
                mount.options.push("tmpcopyup".to_owned());
            }
            mount.kind = kind;
        }
        _ => {
            return Err(fault(format!(
                "has the type {kind}: use bind, volume or tmpfs"
            )));
        }
    }
    if mount.destination.is_empty() {
        return Err(fault("has no target".to_owned()));
    }
    Ok(mount)
}

/// `TARGET[:OPTION,…]`
pub(super) fn tmpfs(text: &str) -> Mount {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let mut mount = Mount::tmpfs(target);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "rw" => mount.writable = true,
            "ro" => mount.writable = false,
            other => mount.options.push(other.to_owned()),
        }
    }
    mount
}

/// The path of a source; `None` where it is the name of a volume.
fn source_path(source: &str, facts: &OptionFacts<'_>) -> Option<String> {
    let is_path = source.contains('/')
        || (facts.platform == Platform::Windows && source.contains('\\'))
        || matches!(source, "." | "..");
    is_path.then(|| absolute(source.to_owned(), facts))
}

/// The fields of a line of CSV: a field in quotes may hold commas, and a quote as two.
fn csv(line: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let (part, after) = quoted.split_once('"')?;
                field.push_str(part);
                match after.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        quoted = more;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
        }
        let (plain, after) = rest
            .split_once(',')
            .map_or((rest, None), |(plain, after)| (plain, Some(after)));
        field.push_str(plain);
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return Some(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn with_facts<T>(test: impl FnOnce(&OptionFacts<'_>) -> T) -> T {
        with_facts_for(Platform::Linux, "/home/me", test)
    }

    fn with_facts_for<T>(
        platform: Platform,
        current_dir: &str,
        test: impl FnOnce(&OptionFacts<'_>) -> T,
    ) -> T {
        test(&OptionFacts {
            platform,
            environment: &|_| None,
            current_dir: Path::new(current_dir),
            read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
            selinux: &|| false,
        })
    }

    #[test]
    fn a_volume_is_a_bind_mount_seen_from_the_working_directory() {
        with_facts(|facts| {
            let bind = |source: &str| Mount::bind(source, "/t");
            for (text, mount) in [
                ("/s:/t", bind("/s")),
                ("/s:/t:rw", bind("/s")),
                ("/s:/t:ro", bind("/s").read_only()),
                (
                    "/t",
                    Mount {
                        kind: "volume".to_owned(),
                        ..bind("").option("tmpcopyup")
                    },
                ),
                ("/s:/t:ro,rslave", bind("/s").read_only().option("rslave")),
                ("./s:/t:cached", bind("/home/me/s")),
                ("/s:/t:z", bind("/s")),
                ("/s:/t:ro,Z", bind("/s").read_only()),
                (".:/t", bind("/home/me")),
                ("a/b:/t", bind("/home/me/a/b")),
            ] {
                assert_eq!(volume(text, facts), Ok(mount), "{text}");
            }
            for text in ["", "t", ":/t", "/s:", "/s:/t:ro:x"] {
                assert!(volume(text, facts).is_err(), "{text}");
            }
        });
    }

    #[test]
    fn a_source_is_not_labelled_where_there_are_labels() {
        with_facts(|facts| {
            let facts = OptionFacts {
                selinux: &|| true,
                ..*facts
            };
            for text in ["/s:/t:z", "/s:/t:ro,Z", "data:/t:z"] {
                let fault = volume(text, &facts).unwrap_err().to_string();
                assert!(fault.contains("chcon"), "{fault}");
            }
            assert_eq!(volume("/s:/t", &facts), Ok(Mount::bind("/s", "/t")));
        });
        with_facts_for(Platform::Windows, r"C:\me", |facts| {
            assert!(volume(r"C:\s:C:\t:z", facts).is_err());
        });
    }

    #[test]
    fn on_windows_the_colon_of_a_drive_is_part_of_the_path() {
        with_facts_for(Platform::Windows, r"C:\me", |facts| {
            for (text, source, target, writable) in [
                (r"C:\s:D:\t", r"C:\s", r"D:\t", true),
                ("c:/s:d:/t:ro", "c:/s", "d:/t", false),
                (r"\\.\pipe\a:\\.\pipe\b", r"\\.\pipe\a", r"\\.\pipe\b", true),
            ] {
                let mount = volume(text, facts).unwrap();
                assert_eq!(
                    (
                        mount.source.as_str(),
                        mount.destination.as_str(),
                        mount.writable
                    ),
                    (source, target, writable)
                );
                assert_eq!(mount.kind, "");
            }
            assert_eq!(volume(r"data:C:\t", facts).unwrap().kind, "volume");
            for text in [r"C:\s", r"C:\s:", r"C:\s:C:\t:ro:x"] {
                assert!(volume(text, facts).is_err(), "{text}");
            }
        });
    }

    #[test]
    fn a_mount_is_read_by_its_keys() {
        with_facts(|facts| {
            for (text, wanted) in [
                ("type=bind,source=/s,target=/t", Mount::bind("/s", "/t")),
                (
                    "type=bind,src=./s,dst=/t,ro",
                    Mount::bind("/home/me/s", "/t").read_only(),
                ),
                (
                    "type=bind,src=/s,destination=/t,readonly=false",
                    Mount::bind("/s", "/t"),
                ),
                (
                    "type=bind,\"src=/a,b\"\"c\",dst=/t,bind-propagation=rslave",
                    Mount::bind("/a,b\"c", "/t").option("rslave"),
                ),
                (
                    "type=bind,src=/s,dst=/t,bind-nonrecursive",
                    Mount::bind("/s", "/t").option("bind"),
                ),
                (
                    "type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770",
                    Mount::tmpfs("/t")
                        .option("size=67108864")
                        .option("mode=1770"),
                ),
            ] {
                assert_eq!(
                    mount(text, facts).map(|mount| Mount {
                        kind: mount.kind.replace("bind", ""),
                        ..mount
                    }),
                    Ok(wanted),
                    "{text}"
                );
            }
            for text in [
                "",
                "type=volume",
                "type=volume,source=data,target=/t,bind-propagation=slave",
                "type=bind,source=/s,target=/t,volume-nocopy",
                "type=bind,source=/s,target=/t,bind-recursive=readonly",
                "type=npipe,source=/s,target=/t",
                "type=bind,target=/t",
                "type=bind,source=/s",
                "type=bind,source=/s,target=/t,readonly=maybe",
                "type=bind,source=/s,target=/t,tmpfs-size=1m",
                "type=tmpfs,target=/t,bind-propagation=shared",
                "type=tmpfs,target=/t,tmpfs-size=x",
                "type=tmpfs,target=/t,tmpfs-mode=9",
                "type=tmpfs,target",
                "type=tmpfs,target=/t,odd=1",
                "\"type=tmpfs",
            ] {
                assert!(mount(text, facts).is_err(), "{text}");
            }
        });
    }

    #[test]
    fn a_volume_has_a_name_for_a_source_and_is_filled_unless_it_says_no() {
        with_facts(|facts| {
            let data = || Mount {
                kind: "volume".to_owned(),
                ..Mount::bind("data", "/t")
            };
            for (text, wanted) in [
                ("data:/t", data().option("tmpcopyup")),
                ("data:/t:nocopy", data()),
                ("data:/t:ro", data().read_only().option("tmpcopyup")),
            ] {
                assert_eq!(volume(text, facts), Ok(wanted), "{text}");
            }
            for (text, wanted) in [
                ("source=data,target=/t", data().option("tmpcopyup")),
                ("type=volume,source=data,target=/t,volume-nocopy", data()),
                (
                    "type=volume,source=data,target=/t,volume-nocopy,volume-subpath=a/b",
                    data().option("X-mount.subdir=a/b"),
                ),
            ] {
                assert_eq!(mount(text, facts), Ok(wanted), "{text}");
            }
        });
    }

    #[test]
    fn a_tmpfs_takes_the_kernels_options() {
        assert_eq!(
            tmpfs("/run:rw,size=64m,mode=1777"),
            Mount::tmpfs("/run").option("size=64m").option("mode=1777")
        );
        assert_eq!(tmpfs("/run:ro"), Mount::tmpfs("/run").read_only());
        assert_eq!(tmpfs("/run"), Mount::tmpfs("/run"));
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in r#"[a-z=,:."/0-9-]{0,40}|\PC{0,20}"#) {
            with_facts(|facts| {
                let _ = (volume(&text, facts), mount(&text, facts), tmpfs(&text));
            });
        }
    }
}
