//! The options of a mount, read.

use hoist_spec::oci::Mount;

use super::constants::{attribute, propagation};
use super::user_namespace::IdMapping;
use super::{IdMaps, PlanError};

/// The options of one mount, sorted (OCI runtime spec, `mounts`, "options").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) bind: bool,
    pub(crate) recursive: bool,
    pub(crate) set: u32,
    pub(crate) clear: u32,
    pub(crate) attributes_recursive: bool,
    pub(crate) propagation: u32,
    pub(crate) copy_up: bool,
    /// The ids of its files are mapped; on what is mounted below, too, where true.
    pub(crate) id_mapped: Option<bool>,
    /// How, where the option says so itself.
    pub(crate) own_maps: Option<IdMaps>,
    /// What below the source is bound (mount(8), `X-mount.subdir`).
    pub(crate) below: String,
    pub(crate) data: Vec<(String, String)>,
}

/// Options that change one attribute: the bits to clear, then those to set.
const ATTRIBUTES: [(&str, u32, u32); 18] = [
    ("ro", 0, attribute::RDONLY),
    ("rw", attribute::RDONLY, 0),
    ("nosuid", 0, attribute::NOSUID),
    ("suid", attribute::NOSUID, 0),
    ("nodev", 0, attribute::NODEV),
    ("dev", attribute::NODEV, 0),
    ("noexec", 0, attribute::NOEXEC),
    ("exec", attribute::NOEXEC, 0),
    ("noatime", attribute::ATIME, attribute::NOATIME),
    ("atime", attribute::ATIME, 0),
    ("relatime", attribute::ATIME, 0),
    ("norelatime", attribute::ATIME, 0),
    ("strictatime", attribute::ATIME, attribute::STRICTATIME),
    ("nostrictatime", attribute::ATIME, 0),
    ("nodiratime", 0, attribute::NODIRATIME),
    ("diratime", attribute::NODIRATIME, 0),
    ("nosymfollow", 0, attribute::NOSYMFOLLOW),
    ("symfollow", attribute::NOSYMFOLLOW, 0),
];

/// Options of a file system as a whole. A bind mount has those of its file system, which others use, too.
const OF_FILE_SYSTEMS: [&str; 3] = ["dirsync", "lazytime", "sync"];

/// Options that ask for what is so anyway, or that the kernel has given up: of no effect, as with runc.
const WITHOUT_EFFECT: [&str; 11] = [
    "acl",
    "async",
    "defaults",
    "iversion",
    "loud",
    "mand",
    "noacl",
    "noiversion",
    "nolazytime",
    "nomand",
    "silent",
];

/// Labels of SELinux: mount(8) wants them in quotes where they have commas, the kernel never does.
const LABELS: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];

const PROPAGATIONS: [(&str, u32); 4] = [
    ("private", propagation::PRIVATE),
    ("slave", propagation::SLAVE),
    ("shared", propagation::SHARED),
    ("unbindable", propagation::UNBINDABLE),
];

/// Every option that is known to mean something else than data for the file system.
pub(crate) fn known_options() -> Vec<String> {
    let attributes = ATTRIBUTES.iter().map(|(name, _, _)| *name);
    let propagations = PROPAGATIONS.iter().map(|(name, _)| *name);
    let mut all: Vec<String> = attributes
        .chain(propagations)
        .flat_map(|name| [name.to_owned(), format!("r{name}")])
        .chain(
            OF_FILE_SYSTEMS
                .iter()
                .chain(&WITHOUT_EFFECT)
                .map(|name| (*name).to_owned()),
        )
        .chain(["bind", "rbind", "tmpcopyup", "idmap", "ridmap"].map(str::to_owned))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

impl Options {
    pub(crate) fn read(mount: &Mount) -> Result<Self, PlanError> {
        let words = || mount.options().iter().flatten();
        let mut options = Self {
            // Other options mean something else then, wherever they stand.
            bind: matches!(mount.typ().as_deref(), None | Some("none" | "bind"))
                || words().any(|word| matches!(&**word, "bind" | "rbind")),
            ..Self::default()
        };
        for word in words() {
            options.read_one(word, mount)?;
        }
        Ok(options)
    }

    fn read_one(&mut self, word: &str, mount: &Mount) -> Result<(), PlanError> {
        if let Some((_, clear, set)) = ATTRIBUTES.iter().find(|(name, _, _)| *name == word) {
            self.change(*clear, *set);
            return Ok(());
        }
        // `rro` and the like: the same for everything mounted below. (`rw` and `relatime` were found above.)
        if let Some((_, clear, set)) = word
            .strip_prefix('r')
            .and_then(|rest| ATTRIBUTES.iter().find(|(name, _, _)| *name == rest))
        {
            self.change(*clear, *set);
            self.attributes_recursive = true;
            return Ok(());
        }
        let plain = word.strip_prefix('r').unwrap_or(word);
        if let Some((_, kind)) = PROPAGATIONS.iter().find(|(name, _)| *name == plain) {
            self.propagation = *kind;
            return Ok(());
        }
        match word {
            "bind" => {}
            "rbind" => self.recursive = true,
            "tmpcopyup" => self.copy_up = true,
            word if WITHOUT_EFFECT.contains(&word) => {}
            word if self.bind && OF_FILE_SYSTEMS.contains(&word) => {}
            "idmap" => self.id_mapped = Some(false),
            "ridmap" => self.id_mapped = Some(true),
            "copy-symlink" => {
                return Err(PlanError::unsupported(
                    format!("mount option {word} of {}", mount.destination().display()),
                    "it is not there yet",
                ));
            }
            "remount" => {
                return Err(PlanError::unsupported(
                    format!("mount option {word} of {}", mount.destination().display()),
                    "every mount is made anew: give its options where it is made",
                ));
            }
            data => {
                let (key, value) = data.split_once('=').unwrap_or((data, ""));
                if key == "X-mount.subdir" && self.bind {
                    value.clone_into(&mut self.below);
                    return Ok(());
                }
                if let ("idmap" | "ridmap", true) = (key, self.bind) {
                    let target = mount.destination().display().to_string();
                    let maps = own_maps(value).map_err(|reason| {
                        PlanError::invalid("mount option", format!("{word} of {target}"), reason)
                    })?;
                    (self.id_mapped, self.own_maps) = (Some(key == "ridmap"), Some(maps));
                    return Ok(());
                }
                let value = match LABELS.contains(&key) {
                    true => unquoted(value),
                    false => value,
                };
                self.data.push((key.to_owned(), value.to_owned()));
            }
        }
        Ok(())
    }

    fn change(&mut self, clear: u32, set: u32) {
        self.set = self.set & !clear | set;
        // The kernel wants the whole field of access times cleared before one of its values is set.
        let whole = if (clear | set) & attribute::ATIME != 0 {
            attribute::ATIME
        } else {
            0
        };
        self.clear = (self.clear | clear | whole) & !(set & !attribute::ATIME);
    }
}

/// `uids=0-1000-1#1-2000-9;gids=0-1000-1`, as podman and crun have it: from an id of the file system, to one of the host, how many.
fn own_maps(text: &str) -> Result<IdMaps, String> {
    const FORM: &str = "write uids=INSIDE-OUTSIDE-COUNT[#…];gids=INSIDE-OUTSIDE-COUNT[#…]";
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for part in text.split(';') {
        let (kind, list) = part.split_once('=').ok_or(FORM)?;
        let maps = match kind {
            "uids" => &mut users,
            "gids" => &mut groups,
            _ => return Err(FORM.to_owned()),
        };
        for one in list.split('#') {
            if one.starts_with('@') {
                return Err(
                    "maps that are relative to the container's are not supported".to_owned(),
                );
            }
            let numbers: Vec<u32> = one
                .split('-')
                .map(|number| number.parse().map_err(|_| FORM.to_owned()))
                .collect::<Result<_, _>>()?;
            let &[inside, outside, count] = numbers.as_slice() else {
                return Err(FORM.to_owned());
            };
            let ends = [inside, outside].map(|first| first.checked_add(count));
            if count == 0 || ends.contains(&None) {
                return Err("a map has no ids, or some that there are not".to_owned());
            }
            maps.push(IdMapping {
                inside,
                outside,
                count,
            });
        }
    }
    match users.is_empty() || groups.is_empty() {
        true => Err(FORM.to_owned()),
        false => Ok(IdMaps {
            users,
            groups,
            deny_setgroups: false,
        }),
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use hoist_spec::oci::MountBuilder;

    use super::*;

    fn of(kind: &str, words: &[&str]) -> Result<Options, PlanError> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mount = MountBuilder::default().destination("/x").typ(kind);
        Options::read(&mount.options(words).build().unwrap())
    }

    fn read(words: &[&str]) -> Options {
        of("tmpfs", words).unwrap()
    }

    #[test]
    fn labels_lose_the_quotes_around_them_and_nothing_else_does() {
        let label = "u:object_r:t:s0:c1,c2";
        for (given, value) in [
            (format!("context=\"{label}\""), label),
            (format!("context={label}"), label),
            ("size=\"1\"".to_owned(), "\"1\""),
            ("context=\"".to_owned(), "\""),
        ] {
            assert_eq!(read(&[&given]).data[0].1, value, "{given}");
        }
    }

    #[test]
    fn options_of_a_file_system_reach_it_and_no_bind_mount_wherever_they_stand() {
        let all = ["sync", "dirsync", "lazytime"];
        let given: Vec<_> = read(&all).data.into_iter().map(|(key, _)| key).collect();
        assert_eq!(given, all);
        for bound in [
            of("bind", &all),
            of("none", &all),
            of("tmpfs", &["sync", "dirsync", "lazytime", "rbind"]),
        ] {
            let bound = bound.unwrap();
            assert!(bound.bind && bound.data.is_empty(), "{bound:?}");
        }
    }

    #[test]
    fn every_option_that_features_tell_is_read_and_is_no_data_of_a_bind_mount() {
        for word in known_options() {
            let options = of("bind", &[&word]).unwrap();
            assert_eq!(options.data, [], "{word}");
            let options = read(&[&word]);
            let is_data = OF_FILE_SYSTEMS.contains(&word.as_str());
            assert_eq!(options.data.is_empty(), !is_data, "{word}");
        }
        assert!(of("tmpfs", &["remount"]).is_err());
    }

    #[test]
    fn links_are_followed_again_by_the_contrary_option() {
        assert_eq!(read(&["nosymfollow"]).set, attribute::NOSYMFOLLOW);
        let options = read(&["nosymfollow", "rsymfollow"]);
        assert_eq!((options.set, options.clear), (0, attribute::NOSYMFOLLOW));
        assert!(options.attributes_recursive);
    }

    #[test]
    fn the_maps_of_a_mount_are_read_from_its_option() {
        let options = read(&["rbind", "ridmap=uids=0-1000-1#1-2000-9;gids=0-7-1"]);
        assert_eq!(options.id_mapped, Some(true));
        let maps = options.own_maps.unwrap();
        let numbers = |maps: &[IdMapping]| -> Vec<(u32, u32, u32)> {
            let all = maps.iter();
            all.map(|map| (map.inside, map.outside, map.count))
                .collect()
        };
        assert_eq!(numbers(&maps.users), [(0, 1000, 1), (1, 2000, 9)]);
        assert_eq!(numbers(&maps.groups), [(0, 7, 1)]);
        for wrong in [
            "",
            "uids=0-1-1",
            "uids=0-1-1;gids=",
            "uids=0-1;gids=0-1-1",
            "uids=0-1-0;gids=0-1-1",
            "uids=0-4294967295-2;gids=0-1-1",
            "uids=@0-1-1;gids=0-1-1",
            "users=0-1-1;gids=0-1-1",
        ] {
            assert!(own_maps(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn attributes_data_and_propagation_are_told_apart() {
        let options = read(&["nosuid", "ro", "size=64m", "rslave", "noswap"]);
        assert_eq!(options.set, attribute::NOSUID | attribute::RDONLY);
        assert_eq!(options.propagation, propagation::SLAVE);
        assert_eq!(
            options.data,
            [
                ("size".into(), "64m".into()),
                ("noswap".into(), String::new())
            ]
        );
        assert!(!options.attributes_recursive);
    }

    #[test]
    fn the_last_of_two_contrary_options_holds() {
        assert_eq!(read(&["ro", "rw"]).set, 0);
        assert_eq!(read(&["ro", "rw"]).clear, attribute::RDONLY);
        assert_eq!(read(&["rw", "ro"]).set, attribute::RDONLY);
        assert_eq!(read(&["rw", "ro"]).clear, 0);
        assert_eq!(
            read(&["noatime", "strictatime"]).set,
            attribute::STRICTATIME
        );
    }

    #[test]
    fn the_recursive_form_reaches_everything_below() {
        let options = read(&["rbind", "rro"]);
        assert!(options.bind && options.recursive && options.attributes_recursive);
        assert_eq!(options.set, attribute::RDONLY);
    }
}
