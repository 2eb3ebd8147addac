//! `ps`.

use hoist_testing::command::Hoist;
use serde_json::Value;

pub(super) fn ps_lists(hoist: &Hoist) {
    let _running = hoist.background("lives", &[], &["idle"]);
    hoist
        .hoist(&["run", "--name", "ended", "--", "/bin/true"])
        .succeeded();
    assert_eq!(names(hoist, &["ps"]), ["lives"]);
    assert_eq!(names(hoist, &["ps", "-a"]), ["ended", "lives"]);
    hoist.remove("ended");
    assert_eq!(names(hoist, &["ps", "--all"]), ["lives"]);
}

fn names(hoist: &Hoist, words: &[&str]) -> Vec<String> {
    let mut words = words.to_vec();
    words.extend(["--format", "json"]);
    hoist
        .hoist(&words)
        .json_lines()
        .iter()
        .map(|line| line["Names"].as_str().unwrap().to_owned())
        .collect()
}

pub(super) fn ps_columns(hoist: &Hoist) {
    let _running = hoist.background("web", &[], &["idle"]);
    let [id] = hoist.ids().try_into().unwrap();
    let table = hoist.hoist(&["ps"]).succeeded();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["CONTAINER", "ID", "COMMAND", "CREATED", "STATUS", "NAMES"]
    );
    assert_eq!(lines.len(), 2, "{table}");
    assert!(
        lines[1].starts_with(&format!("{}   ", &id[..12])),
        "{table}"
    );
    assert!(lines[1].contains("\"/probe probe idle\""), "{table}");
    assert!(lines[1].contains("   Up "), "{table}");
    assert!(lines[1].ends_with("   web"), "{table}");
    let whole = hoist.hoist(&["ps", "--no-trunc"]).succeeded();
    assert!(whole.contains(&id), "{whole}");
    assert_eq!(
        hoist.hoist(&["ps", "-q"]).succeeded(),
        format!("{}\n", &id[..12])
    );
    assert_eq!(
        hoist.hoist(&["ps", "-q", "--no-trunc"]).succeeded(),
        format!("{id}\n")
    );
}

pub(super) fn ps_json(hoist: &Hoist) {
    hoist
        .hoist(&["run", "--name", "gone", "--", "/bin/sh", "-c", "exit 3"])
        .ended_with(3);
    let [id] = hoist.ids().try_into().unwrap();
    let lines = hoist
        .hoist(&["ps", "-a", "--no-trunc", "--format", "json"])
        .json_lines();
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!(line["ID"], id);
    assert_eq!(line["Names"], "gone");
    assert_eq!(line["Command"], "\"/bin/sh -c exit 3\"");
    assert_eq!(line["State"], "stopped");
    let status = line["Status"].as_str().unwrap();
    assert!(status.starts_with("Exited (3) "), "{status}");
    assert!(is_time(&line["CreatedAt"]), "{line}");
    hoist.remove("gone");
}

pub(super) fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() > 20 && text.starts_with("20") && text.ends_with('Z') && &text[10..11] == "T"
}

pub(super) fn ps_of_none(hoist: &Hoist) {
    let table = hoist.hoist(&["ps", "-a"]).succeeded();
    assert_eq!(table.lines().count(), 1, "{table}");
    assert_eq!(hoist.hoist(&["ps", "-aq"]).succeeded(), "");
    assert_eq!(
        hoist.hoist(&["ps", "-a", "--format", "json"]).succeeded(),
        ""
    );
}

pub(super) fn templates(hoist: &Hoist) {
    let _running = hoist.background(
        "web",
        &["--label", "tier=front", "--label", "b=x y"],
        &["idle"],
    );
    let [id] = hoist.ids().try_into().unwrap();
    let short = &id[..12];
    let made = |words: &[&str]| hoist.hoist(words).succeeded();
    assert_eq!(
        made(&["ps", "--format", "{{.ID}} {{.Names}} {{.State}}"]),
        format!("{short} web running\n")
    );
    assert_eq!(
        made(&["ps", "--format", "{{.Labels}}"]),
        "b=x y,tier=front\n"
    );
    // Whichever way a template asks for all that there is.
    for template in [
        r#"{{printf "%v" .}}"#,
        "{{- . -}}",
        "{{with .}}{{json .}}{{end}}",
    ] {
        let all = made(&["ps", "--format", template]);
        assert!(all.contains("tier=front"), "{template}: {all}");
    }
    let table = made(&["ps", "--format", r"table {{.Names}}\t{{.ID}}"]);
    assert_eq!(table, format!("NAMES   CONTAINER ID\nweb     {short}\n"));
    let line: Value = serde_json::from_str(&made(&["ps", "--format", "{{json .}}"])).unwrap();
    assert_eq!(line["Labels"], "b=x y,tier=front");
    assert!(line["Label"].is_null(), "{line}");
    assert!(line["RunningFor"].as_str().unwrap().ends_with(" ago"));
    hoist
        .hoist(&["ps", "--format", "{{.Networks}}"])
        .failed_with(
            1,
            &["no field Networks", "Labels, Names, Ports, RunningFor"],
        );
    hoist
        .hoist(&["ps", "--format", "yaml"])
        .failed_with(1, &["yaml", "template"]);
    hoist
        .hoist(&["ps", "--format", "{{.ID"])
        .failed_with(1, &["unclosed action"]);

    let pid = hoist.inspect("web")["State"]["Pid"].to_string();
    let template = "{{.ID}} {{.Id}} {{.Name}} {{.State.Status}} {{.State.Pid}}";
    assert_eq!(
        made(&["inspect", "-f", template, "web"]),
        format!("{id} {id} /web running {pid}\n")
    );
    assert_eq!(
        made(&["inspect", "--format", "{{json .Config.Labels}}", "web"]),
        "{\"b\":\"x y\",\"tier\":\"front\"}\n"
    );
    let ran = hoist.hoist(&["inspect", "-f", "{{.State.Stats}}", "web", "nobody"]);
    ran.failed_with(
        1,
        &["no field Stats", "Status", "no such container: nobody"],
    );

    let fields = "{{.ID}} {{.Name}} {{.Container}} {{.PIDs}} {{.CPUPerc}} {{.MemPerc}}";
    let used = made(&["stats", "--no-stream", "--format", fields]);
    assert!(used.starts_with(&format!("{short} web {short} ")), "{used}");

    let version = format!("{}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(made(&["version", "-f", "{{.version}}"]), version);
    assert_eq!(made(&["info", "-f", "{{.backend}}"]), "linux\n");
    let names = made(&["info", "--format", r"{{range .features}}{{.name}}\n{{end}}"]);
    assert!(names.lines().any(|name| name == "procfs"), "{names}");

    if !hoist.is_ordinary_user() {
        let process = made(&["exec", "-d", "web", "/probe", "probe", "idle"]);
        let process = process.trim();
        assert_eq!(
            made(&[
                "process",
                "ls",
                "--no-trunc",
                "--format",
                "{{.ID}}={{.ContainerID}}"
            ]),
            format!("{process}={id}\n")
        );
        assert_eq!(
            made(&[
                "process",
                "inspect",
                "-f",
                "{{.ProcessConfig.entrypoint}}",
                process
            ]),
            "/probe\n"
        );
    }
    let label = |format: &str| made(&["ps", "--format", format]);
    assert_eq!(
        label(r#"{{.Label "tier"}}|{{.Label "nosuch"}}|"#),
        "front||\n"
    );
    assert_eq!(
        label(r#"{{if .Label "tier"}}{{$.Label `b` | upper}}{{end}}"#),
        "X Y\n"
    );
    assert_eq!(label(r#"{{".Label \"tier\""}}"#), ".Label \"tier\"\n");
    assert_eq!(
        label(r#"table {{.Names}}\t{{.Label "tier"}}"#),
        "NAMES   tier\nweb     front\n"
    );
    let root = hoist.root().display().to_string();
    assert_eq!(label("{{.Image}}{{.Ports}}"), format!("{root}\n"));

    let help = made(&["ps", "--help"]);
    for word in ["RunningFor", "truncate", "text/template"] {
        assert!(help.contains(word), "{word}: {help}");
    }
}

pub(super) fn filters(hoist: &Hoist) {
    let _first = hoist.background(
        "first",
        &["--label", "tier=front", "--label", "x"],
        &["idle"],
    );
    let _second = hoist.background(
        "second",
        &["--label", "tier=back", "--label", "x"],
        &["idle"],
    );
    let _third = hoist.background("third", &[], &["idle"]);
    let id = |name: &str| hoist.inspect(name)["Id"].as_str().unwrap().to_owned();
    let first = format!("id={}", &id("first")[..20]);
    for (filters, found) in [
        (&["label=tier"][..], &["second", "first"][..]),
        (&["label=tier=front"], &["first"]),
        (&["label=x", "label=tier=back"], &["second"]),
        (&["label=tier=front", "label=tier=back"], &[]),
        (&["label=nosuch"], &[]),
        (&["since=first"], &["third", "second"]),
        (&["before=second"], &["first"]),
        (&["since=first", "before=third"], &["second"]),
        (&["name=ir", "label=tier"], &["first"]),
        (&["name=^first$"], &["first"]),
        (&["name=^/first$"], &["first"]),
        (&["name=^irst$"], &[]),
        (&["name=^f"], &["first"]),
        (&["name=d$"], &["third", "second"]),
        (&[&first], &["first"]),
        (&["status=running", "name=third"], &["third"]),
    ] {
        let mut words = vec!["ps"];
        for filter in filters {
            words.extend(["--filter", filter]);
        }
        assert_eq!(names(hoist, &words), found, "{filters:?}");
    }
    for (filter, words) in [
        ("nosuch=1", &["nosuch=1", "label=KEY"][..]),
        ("label=", &["label="]),
        ("since=nobody", &["no such container: nobody"]),
    ] {
        hoist.hoist(&["ps", "-f", filter]).failed_with(1, words);
    }
}
