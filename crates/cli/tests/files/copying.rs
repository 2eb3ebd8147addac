//! `cp` between a container and this machine.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use hoist_testing::command::{Hoist, finish};

use super::{act, idle, layered, remove, start};

fn cp(hoist: &Hoist, words: &[&str]) {
    let mut line = vec!["cp"];
    line.extend(words);
    assert_eq!(hoist.hoist(&line).succeeded(), "", "{words:?}");
}

pub(super) fn both_ways(hoist: &Hoist) {
    idle(hoist, "web", &[]);
    let text = "x".repeat(3_000_000);
    let here = hoist.write("here", &text);
    cp(hoist, &[&here, "web:/tmp/there"]);
    assert_eq!(act(hoist, "web", &["read", "/tmp/there"]), text);
    act(hoist, "web", &["put", "/tmp/own", "from within"]);
    let back = hoist.path("back");
    cp(hoist, &["web:/tmp/own", &back]);
    assert_eq!(fs::read_to_string(&back).unwrap(), "from within");
    remove(hoist, "web");
}

/// docker cp's documentation, "Extended description", line by line.
pub(super) fn names(hoist: &Hoist) {
    idle(hoist, "web", &[]);
    let tree = hoist.make_folder("tree");
    hoist.make_folder("tree/inner");
    hoist.write("tree/a", "a");
    hoist.write("tree/inner/b", "b");
    let file = hoist.write("file", "file");
    let read = |path: &str| act(hoist, "web", &["read", path]);

    // SRC is a file: DEST does not exist; is a file; is a directory.
    cp(hoist, &[&file, "web:/tmp/new"]);
    assert_eq!(read("/tmp/new"), "file");
    act(hoist, "web", &["put", "/tmp/old", "longer than the file"]);
    cp(hoist, &[&file, "web:/tmp/old"]);
    assert_eq!(read("/tmp/old"), "file");
    cp(hoist, &[&file, "web:/tmp/"]);
    assert_eq!(read("/tmp/file"), "file");
    // A path in a container is taken from its root.
    cp(hoist, &[&file, "web:tmp/relative"]);
    assert_eq!(read("/tmp/relative"), "file");
    // SRC is a directory: DEST does not exist; is a directory, without and with /. .
    cp(hoist, &[&tree, "web:/tmp/made"]);
    assert_eq!(read("/tmp/made/inner/b"), "b");
    act(hoist, "web", &["folder", "/tmp/there"]);
    cp(hoist, &[&tree, "web:/tmp/there"]);
    assert_eq!(read("/tmp/there/tree/a"), "a");
    cp(hoist, &[&format!("{tree}/."), "web:/tmp/there"]);
    assert_eq!(read("/tmp/there/a"), "a");
    assert_eq!(read("/tmp/there/inner/b"), "b");

    // The same the other way.
    let out = |name: &str| fs::read_to_string(hoist.path(name)).unwrap();
    hoist.make_folder("out");
    cp(hoist, &["web:/tmp/new", &hoist.path("out/new")]);
    assert_eq!(out("out/new"), "file");
    cp(hoist, &["web:/tmp/new", &hoist.path("out")]);
    cp(hoist, &["web:/tmp/made", &hoist.path("out")]);
    assert_eq!(out("out/made/inner/b"), "b");
    cp(hoist, &["web:/tmp/made/.", &hoist.path("out")]);
    assert_eq!(out("out/inner/b"), "b");
    cp(hoist, &["web:/tmp/made", &hoist.path("whole")]);
    assert_eq!(out("whole/a"), "a");
    // A name without a slash is one of the working directory's.
    cp(hoist, &["web:/tmp/new", "plain"]);
    assert_eq!(out("plain"), "file");
    remove(hoist, "web");
}

pub(super) fn refusals(hoist: &Hoist) {
    let root = idle(hoist, "web", &[]);
    let tree = hoist.make_folder("tree");
    hoist.make_folder("tree/bin");
    hoist.write("tree/bin/text", "new");
    let file = hoist.write("file", "file");
    let fails = |words: &[&str], said: &[&str]| {
        let mut line = vec!["cp"];
        line.extend(words);
        hoist.hoist(&line).failed_with(1, said);
    };
    fails(&["web:/nosuch", "x"], &["could not find the file /nosuch"]);
    fails(&["nosuch", "web:/tmp"], &["could not find the file nosuch"]);
    fails(&["nosuch:/etc", "x"], &["no such container: nosuch"]);
    fails(
        &[&file, "web:/no/such/place"],
        &["no such directory: /no/such"],
    );
    fails(
        &[&file, "web:/tmp/new/"],
        &["the destination directory /tmp/new/ must exist"],
    );
    fails(
        &[&tree, "web:/bin/text"],
        &["cannot copy a directory to a file"],
    );
    fails(&["web:/bin/text/", "x"], &["is not a directory"]);
    fails(&[&file, "x"], &["must specify at least one container"]);
    fails(&["-", "x"], &["must specify at least one container"]);
    fails(
        &["web:/a", "web:/b"],
        &["between containers is not supported"],
    );
    // What is there is replaced by its own kind only.
    let odd = hoist.make_folder("odd");
    hoist.write("odd/bin", "a file");
    fails(
        &[&format!("{odd}/."), "web:/"],
        &["bin", "cannot overwrite a directory"],
    );
    hoist.make_folder("odd2");
    hoist.make_folder("odd2/text");
    fails(
        &[&hoist.path("odd2/."), "web:/bin"],
        &["text", "cannot overwrite what is no directory"],
    );
    assert_eq!(
        fs::read_to_string(format!("{root}/bin/text")).unwrap(),
        "no program\n"
    );
    let left: Vec<_> = fs::read_dir(format!("{root}/bin"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().starts_with('.')),
        "{left:?}"
    );
    remove(hoist, "web");
}

pub(super) fn archives(hoist: &Hoist) {
    idle(hoist, "web", &[]);
    act(
        hoist,
        "web",
        &[
            "folder", "/tmp/d", "+", "put", "/tmp/d/f", "text", "+", "link", "f", "/tmp/d/l",
        ],
    );
    let out = hoist.hoist(&["cp", "web:/tmp/d", "-"]);
    out.ended_with(0);
    let mut archive = tar::Archive::new(out.stdout.as_slice());
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        // As the container counts: its root's.
        assert_eq!(entry.header().uid().unwrap(), 0);
        names.push((
            entry.path().unwrap().display().to_string(),
            entry.header().entry_type(),
        ));
    }
    let kind = |name: &str, kind| (name.to_owned(), kind);
    assert_eq!(
        names,
        [
            kind("d/", tar::EntryType::Directory),
            kind("d/f", tar::EntryType::Regular),
            kind("d/l", tar::EntryType::Symlink),
        ]
    );
    finish(&mut hoist.command(&["cp", "-", "web:/mnt"]), &out.stdout).succeeded();
    assert_eq!(act(hoist, "web", &["read", "/mnt/d/l"]), "text");
    // Half an archive is an error, and only a directory takes one.
    finish(
        &mut hoist.command(&["cp", "-", "web:/mnt"]),
        &out.stdout[..700],
    )
    .failed_with(1, &["archive"]);
    finish(
        &mut hoist.command(&["cp", "-", "web:/mnt/new"]),
        &out.stdout,
    )
    .failed_with(1, &["destination \"web:/mnt/new\" must be a directory"]);
    remove(hoist, "web");
}

pub(super) fn links(hoist: &Hoist) {
    idle(hoist, "web", &[]);
    act(
        hoist,
        "web",
        &["put", "/tmp/f", "text", "+", "link", "f", "/tmp/l"],
    );
    cp(hoist, &["web:/tmp/l", &hoist.path("link")]);
    assert_eq!(fs::read_link(hoist.path("link")).unwrap(), Path::new("f"));
    cp(hoist, &["-L", "web:/tmp/l", &hoist.path("followed")]);
    assert_eq!(fs::read_to_string(hoist.path("followed")).unwrap(), "text");
    let file = hoist.write("file", "here");
    symlink(&file, hoist.path("l")).unwrap();
    cp(hoist, &["--follow-link", &hoist.path("l"), "web:/tmp/in"]);
    assert_eq!(act(hoist, "web", &["read", "/tmp/in"]), "here");
    // A destination that is a link stays one: what it leads to is replaced.
    cp(hoist, &[&file, "web:/tmp/l"]);
    assert_eq!(act(hoist, "web", &["read", "/tmp/f"]), "here");
    remove(hoist, "web");
}

pub(super) fn owners(hoist: &Hoist) {
    let root = idle(hoist, "web", &[]);
    let file = hoist.write("file", "text");
    chown(&file, Some(1234), Some(5678)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4755)).unwrap();
    let look = |path: String| {
        let found = fs::metadata(path).unwrap();
        (found.uid(), found.gid(), found.mode() & 0o7777)
    };
    cp(hoist, &[&file, "web:/tmp/plain"]);
    assert_eq!(look(format!("{root}/tmp/plain")), (0, 0, 0o755));
    cp(hoist, &["-a", &file, "web:/tmp/kept"]);
    assert_eq!(look(format!("{root}/tmp/kept")), (1234, 5678, 0o4755));
    assert_eq!(
        fs::metadata(format!("{root}/tmp/kept")).unwrap().mtime(),
        fs::metadata(&file).unwrap().mtime()
    );
    cp(hoist, &["web:/tmp/kept", &hoist.path("plain")]);
    assert_eq!(look(hoist.path("plain")), (0, 0, 0o755));
    cp(hoist, &["--archive", "web:/tmp/kept", &hoist.path("kept")]);
    assert_eq!(look(hoist.path("kept")), (1234, 5678, 0o4755));
    remove(hoist, "web");

    // In a user namespace the numbers are the container's.
    let root = hoist.copy_of_root("mapped");
    let options = [
        "--rootfs",
        &root,
        "--uidmap",
        "0:100000:65536",
        "--gidmap",
        "0:100000:65536",
    ];
    chown(&root, Some(100_000), Some(100_000)).unwrap();
    start(hoist, "mapped", &options, &["idle"]);
    cp(hoist, &[&file, "mapped:/plain"]);
    assert_eq!(look(format!("{root}/plain")), (100_000, 100_000, 0o755));
    cp(hoist, &["-a", &file, "mapped:/kept"]);
    assert_eq!(look(format!("{root}/kept")), (101_234, 105_678, 0o4755));
    cp(hoist, &["-a", "mapped:/kept", &hoist.path("again")]);
    assert_eq!(look(hoist.path("again")), (1234, 5678, 0o4755));
    chown(&file, Some(200_000), None).unwrap();
    hoist
        .hoist(&["cp", "-a", &file, "mapped:/other"])
        .failed_with(1, &["its owner 200000:5678 is not mapped"]);
    remove(hoist, "mapped");
}

pub(super) fn not_running(hoist: &Hoist) {
    let root = idle(hoist, "web", &[]);
    let file = hoist.write("file", "text");
    if !hoist.is_ordinary_user() {
        hoist.hoist(&["pause", "web"]).succeeded();
        cp(hoist, &[&file, "web:/tmp/paused"]);
        hoist.hoist(&["unpause", "web"]).succeeded();
        assert_eq!(act(hoist, "web", &["read", "/tmp/paused"]), "text");
    }
    hoist.hoist(&["kill", "web"]).succeeded();
    hoist.hoist(&["wait", "web"]).ended_with(0);
    cp(hoist, &[&file, "web:/tmp/ended"]);
    assert_eq!(
        fs::read_to_string(format!("{root}/tmp/ended")).unwrap(),
        "text"
    );
    cp(hoist, &["web:/tmp/ended", &hoist.path("back")]);
    assert_eq!(fs::read_to_string(hoist.path("back")).unwrap(), "text");
    remove(hoist, "web");

    let words = [
        "create",
        "--name",
        "made",
        "--read-only",
        "--rootfs",
        &root,
        "--",
        "/probe",
    ];
    hoist.hoist(&words).succeeded();
    cp(hoist, &["made:/tmp/ended", &hoist.path("made")]);
    hoist
        .hoist(&["cp", &file, "made:/tmp/x"])
        .failed_with(1, &["the container's root is read-only"]);
    remove(hoist, "made");
    let layer = hoist.root().display().to_string();
    hoist
        .hoist(&[
            "create", "--name", "gone", "--layer", &layer, "--", "/probe",
        ])
        .succeeded();
    hoist
        .hoist(&["cp", "gone:/etc", "x"])
        .failed_with(1, &["it has not been started", "--layer-folder"]);
    remove(hoist, "gone");
}

pub(super) fn kept_layers(hoist: &Hoist) {
    let folder = hoist.make_folder("writes");
    let layer = layered(hoist, "web", &["--layer-folder", &folder]);
    act(
        hoist,
        "web",
        &["put", "/tmp/own", "within", "+", "remove", "/bin/text"],
    );
    hoist.hoist(&["kill", "web"]).succeeded();
    hoist.hoist(&["wait", "web"]).ended_with(0);
    cp(hoist, &["web:/tmp/own", &hoist.path("own")]);
    assert_eq!(fs::read_to_string(hoist.path("own")).unwrap(), "within");
    hoist
        .hoist(&["cp", "web:/bin/text", "x"])
        .failed_with(1, &["could not find the file"]);
    let file = hoist.write("file", "later");
    cp(hoist, &[&file, "web:/tmp/later"]);
    assert!(!Path::new(&layer).join("tmp/later").exists());
    hoist.hoist(&["start", "web"]).succeeded();
    assert_eq!(act(hoist, "web", &["read", "/tmp/later"]), "later");
    remove(hoist, "web");
}
