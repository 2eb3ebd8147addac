//! Which containers there are, under which names, and which of them are removed.

use crate::hoist::Hoist;

pub(super) fn renamed() {
    let hoist = Hoist::new();
    let first = hoist.detached(&["--name", "one"], "sleep 1000");
    let second = hoist.detached(&["--name", "two"], "sleep 1000");
    hoist.ok(&["rename", "one", "three"]);
    assert!(hoist.status("three").starts_with("Up"));
    hoist.fails(1, &["inspect", "one"]);
    hoist.fails(1, &["rename", "three", "two"]);
    hoist.fails(1, &["rename", "three", "not a name"]);
    let error = hoist.fails(1, &["rename", "three", "three"]);
    assert!(error.contains("three is its name"), "{error}");
    assert!(hoist.status("three").starts_with("Up"));
    hoist.ok(&["rename", &second, "one"]);
    hoist.ok(&["rm", "-f", &first]);
    hoist.ok(&["rename", "one", "three"]);
}

pub(super) fn listed() {
    let hoist = Hoist::new();
    let failed = hoist.detached(&["--name", "old-failed"], "exit 3");
    let ended = hoist.detached(&["--name", "old-ended"], "exit 0");
    hoist.ok(&["wait", &failed, &ended]);
    let running = hoist.detached(&["--name", "new"], "sleep 1000");
    let ps = |words: &[&str]| {
        let words = [&["ps", "-q", "--no-trunc"][..], words].concat();
        hoist
            .ok(&words)
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(ps(&[]), [&*running]);
    assert_eq!(ps(&["-l"]), [&*running]);
    assert_eq!(ps(&["-n", "2"]), [&*running, &*ended]);
    assert_eq!(ps(&["-a", "--filter", "name=old"]), [&*ended, &*failed]);
    assert_eq!(ps(&["--filter", "name=old"]), [""; 0]);
    assert_eq!(ps(&["--filter", "status=exited"]), [&*ended, &*failed]);
    assert_eq!(ps(&["-a", "-f", "exited=3", "-f", "exited=4"]), [&*failed]);
    assert_eq!(ps(&["-a", "-f", "exited=3", "-f", "name=new"]), [""; 0]);
    assert_eq!(ps(&["-a", "-f", &format!("id={failed}")]), [&*failed]);
    let errors = hoist.fails(1, &["ps", "-f", "status=odd", "-f", "color=red", "-n", "x"]);
    assert_eq!(errors.lines().count(), 3, "{errors}");
}

pub(super) fn pruned() {
    let hoist = Hoist::new();
    let ended = hoist.detached(&[], "true");
    let running = hoist.detached(&[], "sleep 1000");
    let created = hoist.ok(&["create", "true"]);
    hoist.ok(&["wait", &ended]);
    // Nobody says yes, or somebody says no.
    for answer in ["", "n\n"] {
        let mut prune = hoist.command(&["prune"]);
        let ran = hoist_testing::command::finish(&mut prune, answer.as_bytes());
        ran.failed_with(1, &["Remove all containers that have ended? [y/N]"]);
    }
    assert!(hoist.status(&ended).starts_with("Exited (0)"));
    let mut prune = hoist.command(&["prune"]);
    let ran = hoist_testing::command::finish(&mut prune, b"y\n");
    ran.ended_with(0);
    assert_eq!(String::from_utf8(ran.stdout).unwrap().trim(), ended);
    assert_eq!(hoist.ok(&["prune", "--force"]), "");
    let mut left: Vec<String> = hoist
        .ok(&["ps", "-aq", "--no-trunc"])
        .lines()
        .map(str::to_owned)
        .collect();
    left.sort();
    let mut expected = vec![running, created];
    expected.sort();
    assert_eq!(left, expected);
}
