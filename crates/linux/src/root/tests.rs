use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::{fs::symlink, net::UnixListener},
    sync::atomic::{AtomicBool, Ordering},
};

use proptest::{prelude::*, test_runner::TestRunner};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use super::{
    model::{End, Entries, make, make_whiteout, mark_opaque, paths, resolve, trees, union},
    *,
};

/// How many trees each comparison with the model generates.
const TREES: u32 = 500;

fn root_at(path: &Path) -> Root {
    Root::open(&RootSource::Directory(path.to_owned())).unwrap()
}

fn layers_at(paths: &[PathBuf]) -> Root {
    Root::open(&RootSource::Layers {
        layers: paths.to_vec(),
        writable: WritableLayer::Ephemeral,
    })
    .unwrap()
}

fn climbs_out(root: &Root, path: &str) -> Result<bool, RootError> {
    let targets = root.look_at_targets([path].into_iter(), &[])?;
    Ok(targets.climbing == [path])
}

/// What `root` makes of `path`, in the model's words.
fn observed(root: &Root, path: &str) -> (Result<bool, ()>, End) {
    let end = match root.read_file(path, LARGEST_FILE) {
        Ok(Some(content)) => End::File(content),
        Ok(None) => End::Missing,
        Err(RootError::NotRegular {
            kind: "directory", ..
        }) => End::Directory,
        Err(RootError::TooManyLinks { .. }) => End::TooManyLinks,
        Err(error) => panic!("{path}: {error:?}"),
    };
    (climbs_out(root, path).map_err(|_| ()), end)
}

fn expected(tree: &Entries, path: &str) -> (Result<bool, ()>, End) {
    match resolve(tree, path) {
        (_, End::TooManyLinks) => (Err(()), End::TooManyLinks),
        (climbs, end) => (Ok(climbs), end),
    }
}

fn run<T: std::fmt::Debug>(
    strategy: &impl Strategy<Value = T>,
    test: impl Fn(T) -> Result<(), proptest::test_runner::TestCaseError>,
) {
    let config = ProptestConfig {
        cases: TREES,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config).run(strategy, test).unwrap();
}

#[test]
fn a_path_in_any_tree_leads_where_the_model_says_and_never_outside() {
    let strategy = (trees(false, false), proptest::collection::vec(paths(6), 8));
    run(&strategy, |(tree, paths)| {
        // A `..` that got out would find a file where the tree has a name.
        let outside = tempfile::tempdir().unwrap();
        for name in model::NAMES {
            fs::write(outside.path().join(name), "outside").unwrap();
        }
        let top = outside.path().join("root");
        fs::create_dir(&top).unwrap();
        make(&tree, &top);
        let root = root_at(&top);
        for path in paths {
            prop_assert_eq!(observed(&root, &path), expected(&tree, &path), "{}", path);
        }
        Ok(())
    });
}

#[test]
fn a_path_in_any_layers_leads_where_the_model_and_overlayfs_say() {
    // In an unprivileged container not every layer can be made.
    let place = tempfile::tempdir().unwrap();
    let opaque = mark_opaque(place.path()).is_ok();
    let whiteouts = make_whiteout(&place.path().join("whiteout")).is_ok();
    let strategy = (
        proptest::collection::vec(trees(whiteouts, opaque), 1..4),
        proptest::collection::vec(paths(6), 8),
    );
    run(&strategy, |(layers, paths)| {
        let top = tempfile::tempdir().unwrap();
        let folders: Vec<_> = (0..layers.len())
            .map(|index| top.path().join(index.to_string()))
            .collect();
        for (layer, folder) in layers.iter().zip(&folders) {
            fs::create_dir(folder).unwrap();
            make(layer, folder);
        }
        let union = union(&layers);
        let root = layers_at(&folders);
        let mounted = overlay(top.path(), &folders).map(Root::directory);
        for path in paths {
            let expected = expected(&union, &path);
            prop_assert_eq!(observed(&root, &path), expected.clone(), "{}", path);
            if let Some(mounted) = &mounted {
                prop_assert_eq!(observed(mounted, &path), expected, "overlayfs: {}", path);
            }
        }
        Ok(())
    });
}

/// The kernel's own overlay of the same layers, attached nowhere, where it lets the test make one.
fn overlay(top: &Path, folders: &[PathBuf]) -> Option<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).ok()?;
    let empty = top.join("empty");
    fs::create_dir(&empty).unwrap();
    let mut names: Vec<_> = folders
        .iter()
        .map(|folder| folder.to_str().unwrap())
        .collect();
    // A read-only overlay has two layers at least.
    names.push(empty.to_str().unwrap());
    fsconfig_set_string(&context, "lowerdir", names.join(":")).ok()?;
    fsconfig_set_flag(&context, "userxattr").ok()?;
    fsconfig_create(&context).ok()?;
    fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
    .ok()
}

#[test]
fn only_links_that_go_above_the_root_climb() {
    let top = tempfile::tempdir().unwrap();
    let at = |path: &str| top.path().join(path);
    fs::create_dir_all(at("run")).unwrap();
    fs::create_dir_all(at("var/lib")).unwrap();
    symlink("/run", at("var/run")).unwrap();
    symlink("../run", at("var/beside")).unwrap();
    symlink("../../../etc", at("var/out")).unwrap();
    symlink("/var/../../etc", at("absolute")).unwrap();
    symlink("var/missing/../../../..", at("dangling")).unwrap();
    let root = root_at(top.path());
    for path in [
        "/",
        "/proc",
        "/var/run/x",
        "/var/beside/y",
        "/new/path",
        "/dangling/x",
    ] {
        assert!(!climbs_out(&root, path).unwrap(), "{path}");
    }
    for path in [
        "/var/out",
        "/var/out/x",
        "/absolute",
        "/var/run/../../x",
        "/../etc",
    ] {
        assert!(climbs_out(&root, path).unwrap(), "{path}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_and_never_opened() {
    let top = tempfile::tempdir().unwrap();
    let at = |path: &str| top.path().join(path);
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), FileType::Fifo, mode, 0).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    symlink("fifo", at("link")).unwrap();
    let root = root_at(top.path());
    let devices = root_at(Path::new("/dev"));
    for (root, path, expected) in [
        (&root, "/fifo", "fifo"),
        (&root, "/socket", "socket"),
        (&root, "/directory", "directory"),
        (&root, "/link", "fifo"),
        (&devices, "/zero", "character device"),
    ] {
        match root.read_file(path, LARGEST_FILE) {
            Err(RootError::NotRegular { kind, .. }) => assert_eq!(kind, expected),
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[test]
fn a_file_larger_than_the_limit_is_refused_unread() {
    let top = tempfile::tempdir().unwrap();
    let mut sparse = fs::File::create(top.path().join("passwd")).unwrap();
    sparse.seek(SeekFrom::Start(10 << 30)).unwrap();
    sparse.write_all(b"x").unwrap();
    fs::write(top.path().join("ten"), "0123456789").unwrap();
    let root = root_at(top.path());
    let refused =
        |path, limit| matches!(root.read_file(path, limit), Err(RootError::TooLarge { .. }));
    assert!(refused("/passwd", u64::MAX));
    assert!(refused("/ten", 9));
    assert_eq!(
        root.read_file("/ten", 10).unwrap().as_deref(),
        Some(&b"0123456789"[..])
    );
}

#[test]
fn magic_links_are_not_followed() {
    let root = root_at(Path::new("/proc"));
    assert!(root.read_file("/self/exe", LARGEST_FILE).is_err());
    assert!(
        root.read_file("/self/root/etc/passwd", LARGEST_FILE)
            .is_err()
    );
}

#[test]
fn renames_next_to_a_resolution_neither_fail_it_nor_lead_it_out() {
    let top = tempfile::tempdir().unwrap();
    let inside = top.path().join("root");
    fs::create_dir_all(inside.join("a/b")).unwrap();
    fs::write(inside.join("file"), "inside").unwrap();
    fs::write(top.path().join("file"), "outside").unwrap();
    let root = root_at(&inside);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::rename(inside.join("a/b"), inside.join("moved")).unwrap();
                fs::rename(inside.join("moved"), inside.join("a/b")).unwrap();
            }
        });
        for _ in 0..5_000 {
            match root.read_file("/a/b/../../../file", LARGEST_FILE) {
                Ok(None) => {}
                Ok(Some(content)) => assert_eq!(content, b"inside"),
                Err(error) => panic!("{error:?}"),
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn kernel_directories_must_be_real_directories_or_missing() {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir(top.path().join("proc")).unwrap();
    symlink("proc", top.path().join("sys")).unwrap();
    fs::write(top.path().join("dev"), "").unwrap();
    let root = root_at(top.path());
    let targets = ["/proc/sys", "//sys", "/./dev/pts", "/missing/x", "/file"];
    let directories = ["proc", "sys", "dev", "missing"];
    let looked = root
        .look_at_targets(targets.into_iter(), &directories)
        .unwrap();
    assert_eq!(looked.not_directories, ["dev", "sys"]);
    let below_others = ["/proc", "/system", "/missing"].into_iter();
    let looked = root.look_at_targets(below_others, &directories).unwrap();
    assert!(
        looked.not_directories.is_empty(),
        "nothing is mounted there"
    );
}

#[test]
fn a_missing_root_is_named_and_an_unused_folder_for_writes_is_passed_over() {
    let top = tempfile::tempdir().unwrap();
    let missing = top.path().join("missing");
    let error = Root::open(&RootSource::Directory(missing.clone())).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    fs::write(top.path().join("file"), "base").unwrap();
    let source = RootSource::Layers {
        layers: vec![top.path().to_owned()],
        writable: WritableLayer::Folder(missing.clone()),
    };
    let read = |source| Root::open(source).unwrap().read_file("/file", 99).unwrap();
    assert_eq!(read(&source).as_deref(), Some(&b"base"[..]));
    fs::create_dir_all(missing.join(UPPER)).unwrap();
    fs::write(missing.join(UPPER).join("file"), "written").unwrap();
    assert_eq!(read(&source).as_deref(), Some(&b"written"[..]));
}
