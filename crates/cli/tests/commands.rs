//! The commands that look at containers or end them, and those that need none.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    hoist_testing::command::main(env!("CARGO_BIN_EXE_hoist"), linux::CASES)
}

#[cfg(target_os = "linux")]
#[allow(clippy::unwrap_used, reason = "this is test code")]
mod linux {
    use std::time::{Duration, Instant};

    use hoist_testing::{
        Need,
        command::{By::Anyone, Case, Hoist},
    };
    use serde_json::Value;

    pub(super) const CASES: &[Case] = &[
        Case {
            name: "ps lists containers that run, and with -a those that have ended, the newest first",
            by: Anyone,
            needs: &[],
            run: ps_lists,
        },
        Case {
            name: "ps writes docker's columns, short ids, whole ids with --no-trunc, ids alone with -q",
            by: Anyone,
            needs: &[],
            run: ps_columns,
        },
        Case {
            name: "ps writes one JSON object with docker's members per line",
            by: Anyone,
            needs: &[],
            run: ps_json,
        },
        Case {
            name: "ps of no containers is a header alone, and nothing as JSON",
            by: Anyone,
            needs: &[],
            run: ps_of_none,
        },
        Case {
            name: "lists and reports are written by docker's templates, and what those ask for and is not there is refused by name",
            by: Anyone,
            needs: &[],
            run: templates,
        },
        Case {
            name: "ps shows those containers that all filters take",
            by: Anyone,
            needs: &[],
            run: filters,
        },
        Case {
            name: "inspect tells of a running container in docker's words",
            by: Anyone,
            needs: &[],
            run: inspect_running,
        },
        Case {
            name: "inspect shows those that are there and names those that are not",
            by: Anyone,
            needs: &[],
            run: inspect_some,
        },
        Case {
            name: "top lists the processes of a container, and no other, with their ids on this machine",
            by: Anyone,
            needs: &[],
            run: top,
        },
        Case {
            name: "top with options of ps shows what this machine's ps does of the container's processes",
            by: Anyone,
            needs: &[Need::Tool("ps")],
            run: top_by_ps,
        },
        Case {
            name: "a container is meant by its id, its name, and the beginning of its id",
            by: Anyone,
            needs: &[],
            run: references,
        },
        Case {
            name: "kill sends SIGKILL, or the signal that is named with or without SIG or by number",
            by: Anyone,
            needs: &[],
            run: kill,
        },
        Case {
            name: "stop sends SIGTERM and lets a container end in its own way",
            by: Anyone,
            needs: &[],
            run: stop_gently,
        },
        Case {
            name: "stop sends the container's own stop signal, or the one that it is given",
            by: Anyone,
            needs: &[],
            run: stop_signals,
        },
        Case {
            name: "stop ends a container by force that does not end in time",
            by: Anyone,
            needs: &[],
            run: stop_by_force,
        },
        Case {
            name: "stop waits as long as the container's own stop timeout says",
            by: Anyone,
            needs: &[],
            run: stop_timeout,
        },
        Case {
            name: "stop of a container that has ended does nothing",
            by: Anyone,
            needs: &[],
            run: stop_ended,
        },
        Case {
            name: "wait prints the exit code of a container that ends later, and of one that has ended",
            by: Anyone,
            needs: &[],
            run: wait,
        },
        Case {
            name: "rm removes what has ended, refuses what runs, and ends it by force with -f",
            by: Anyone,
            needs: &[],
            run: rm,
        },
        Case {
            name: "commands on several containers act on each that is there and fail for the others",
            by: Anyone,
            needs: &[],
            run: several,
        },
        Case {
            name: "exec runs a process in the container's namespaces with what it is given",
            by: Anyone,
            needs: &[],
            run: exec,
        },
        Case {
            name: "exec in a container that has ended says so",
            by: Anyone,
            needs: &[],
            run: exec_in_ended,
        },
        Case {
            name: "exec takes environment, directory and user",
            by: Anyone,
            needs: &[],
            run: exec_options,
        },
        Case {
            name: "info tells for each feature whether it is there, and why not",
            by: Anyone,
            needs: &[],
            run: info,
        },
        Case {
            name: "plan prints the steps of run, takes none, and needs no container",
            by: Anyone,
            needs: &[],
            run: plan,
        },
        Case {
            name: "version tells the version, as text, as JSON and by -v",
            by: Anyone,
            needs: &[],
            run: version,
        },
        Case {
            name: "completions are scripts that the shells take",
            by: Anyone,
            needs: &[Need::Tool("bash")],
            run: completions,
        },
        Case {
            name: "help is printed to standard output, with every command and every option of run",
            by: Anyone,
            needs: &[],
            run: help,
        },
        Case {
            name: "a reader of standard output that goes away is no fault",
            by: Anyone,
            needs: &[],
            run: reader_gone,
        },
    ];

    fn ps_lists(hoist: &Hoist) {
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

    fn ps_columns(hoist: &Hoist) {
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

    fn ps_json(hoist: &Hoist) {
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

    fn is_time(value: &Value) -> bool {
        let text = value.as_str().unwrap_or_default();
        text.len() > 20 && text.starts_with("20") && text.ends_with('Z') && &text[10..11] == "T"
    }

    fn ps_of_none(hoist: &Hoist) {
        let table = hoist.hoist(&["ps", "-a"]).succeeded();
        assert_eq!(table.lines().count(), 1, "{table}");
        assert_eq!(hoist.hoist(&["ps", "-aq"]).succeeded(), "");
        assert_eq!(
            hoist.hoist(&["ps", "-a", "--format", "json"]).succeeded(),
            ""
        );
    }

    fn templates(hoist: &Hoist) {
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
        assert!(line["RunningFor"].as_str().unwrap().ends_with(" ago"));
        hoist
            .hoist(&["ps", "--format", "{{.Image}}"])
            .failed_with(1, &["no field Image", "RunningFor, State, Status"]);
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
        let help = made(&["ps", "--help"]);
        for word in ["RunningFor", "truncate", "text/template"] {
            assert!(help.contains(word), "{word}: {help}");
        }
    }

    fn filters(hoist: &Hoist) {
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

    fn inspect_running(hoist: &Hoist) {
        let folder = hoist.make_folder("data");
        let volume = format!("{folder}:/mnt:ro");
        let _running = hoist.background(
            "web",
            &[
                "--hostname",
                "box",
                "-e",
                "A=1",
                "-w",
                "/home",
                "-v",
                &volume,
                "--read-only",
                "--stop-signal",
                "INT",
                "--stop-timeout",
                "3",
                "--cap-drop",
                "ALL",
                "--cap-add",
                "CHOWN",
            ],
            &["idle"],
        );
        let [id] = hoist.ids().try_into().unwrap();
        let container = hoist.inspect("web");
        assert_eq!(container["Id"], id);
        assert_eq!(container["Name"], "/web");
        assert_eq!(container["Path"], "/probe");
        assert_eq!(container["Args"], serde_json::json!(["probe", "idle"]));
        assert!(is_time(&container["Created"]));
        let state = &container["State"];
        assert_eq!(state["Status"], "running");
        assert_eq!(state["Running"], true);
        assert_eq!(state["Paused"], false);
        assert_eq!(state["ExitCode"], 0);
        assert_eq!(state["FinishedAt"], "0001-01-01T00:00:00Z");
        assert!(is_time(&state["StartedAt"]));
        let pid = state["Pid"].as_u64().unwrap();
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert_eq!(line, b"/probe\0probe\0idle\0", "the pid is this machine's");
        let config = &container["Config"];
        assert_eq!(config["Hostname"], "box");
        assert_eq!(config["WorkingDir"], "/home");
        assert_eq!(config["StopSignal"], "SIGINT");
        assert_eq!(config["StopTimeout"], 3);
        assert_eq!(config["Tty"], false);
        assert!(config["Env"].as_array().unwrap().contains(&"A=1".into()));
        let host = &container["HostConfig"];
        assert_eq!(host["NetworkMode"], "none");
        assert_eq!(host["ReadonlyRootfs"], true);
        assert_eq!(host["Capabilities"], serde_json::json!(["CAP_CHOWN"]));
        assert_eq!(host["Binds"], serde_json::json!([volume]));
        let mounts = container["Mounts"].as_array().unwrap();
        assert_eq!(mounts.len(), 1, "{mounts:?}");
        assert_eq!(mounts[0]["Source"], folder);
        assert_eq!(mounts[0]["Destination"], "/mnt");
        assert_eq!(mounts[0]["RW"], false);
    }

    fn inspect_some(hoist: &Hoist) {
        let _running = hoist.background("web", &[], &["idle"]);
        let ran = hoist.hoist(&["inspect", "nobody", "web"]);
        ran.ended_with(1);
        let list: Vec<Value> = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0]["Name"], "/web");
        assert!(ran.stderr.contains("no such container: nobody"));
        let none = hoist.hoist(&["inspect", "nobody"]);
        none.ended_with(1);
        assert_eq!(none.text().trim(), "[]");
        hoist
            .hoist(&["inspect", "--format", "json", "web"])
            .succeeded();
    }

    fn top(hoist: &Hoist) {
        let _other = hoist.background("other", &[], &["idle"]);
        let _running = hoist.background("web", &[], &["idle"]);
        let mut further = hoist
            .further(&[], "web", &["sleep", "60000"])
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let lines = loop {
            let lines = hoist
                .hoist(&["top", "web", "--format", "json"])
                .json_lines();
            if lines.len() == 2 && lines.iter().any(|line| is_command(line, "sleep 60000")) {
                break lines;
            }
            assert!(Instant::now() < deadline, "{lines:?}");
        };
        let first = hoist.inspect("web")["State"]["Pid"].as_u64().unwrap();
        assert!(lines.iter().any(|line| line["pid"] == first), "{lines:?}");
        let uid = u64::from(hoist.user().unwrap_or(0));
        for line in &lines {
            let pid = line["pid"].as_u64().unwrap();
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
            assert!(command.starts_with(b"/probe\0probe\0"), "{line}");
            if hoist.user().is_some() {
                assert_eq!(line["uid"], uid);
            }
        }
        let table = hoist.hoist(&["top", "web"]).succeeded();
        let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(header, ["UID", "PID", "PPID", "STARTED", "TIME", "CMD"]);
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(table.contains("/probe probe sleep 60000"), "{table}");
        hoist.hoist(&["kill", "web"]).succeeded();
        further.wait().unwrap();
        assert_eq!(hoist.hoist(&["wait", "web"]).succeeded(), "137\n");
        hoist
            .hoist(&["top", "web"])
            .failed_with(1, &["web", "not running"]);
    }

    fn top_by_ps(hoist: &Hoist) {
        let _other = hoist.background("other", &[], &["idle"]);
        let _running = hoist.background("web", &[], &["idle"]);
        let pid = hoist.inspect("web")["State"]["Pid"].to_string();
        for (options, column, first) in [
            (&["-e", "-o", "pid,stat,args"][..], 0, "PID"),
            (&["-eo", "ppid,pid,args"], 1, "PPID"),
            (&["aux"], 1, "USER"),
            (&["-ef"], 1, "UID"),
        ] {
            let mut words = vec!["top", "web"];
            words.extend(options);
            let table = hoist.hoist(&words).succeeded();
            let lines: Vec<&str> = table.lines().collect();
            assert_eq!(lines.len(), 2, "{options:?}: {table}");
            assert!(lines[0].starts_with(first), "{options:?}: {table}");
            let cells: Vec<&str> = lines[1].split_whitespace().collect();
            assert_eq!(cells[column], pid, "{options:?}: {table}");
            assert!(
                lines[1].ends_with("/probe probe idle"),
                "{options:?}: {table}"
            );
        }
        hoist
            .hoist(&["top", "web", "-e", "-o", "comm"])
            .failed_with(1, &["ps -e -o comm", "no column PID"]);
        hoist
            .hoist(&["top", "web", "-o", "nosuchcolumn"])
            .failed_with(1, &["ps -o nosuchcolumn"]);
        hoist
            .hoist(&["top", "--format", "json", "web", "aux"])
            .failed_with(1, &["--format json"]);
        let lines = hoist
            .hoist(&["top", "web", "--format", "json"])
            .json_lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
    }

    fn is_command(line: &Value, end: &str) -> bool {
        line["command"]
            .as_str()
            .is_some_and(|command| command.ends_with(end))
    }

    fn references(hoist: &Hoist) {
        let _running = hoist.background("web", &[], &["idle"]);
        let [id] = hoist.ids().try_into().unwrap();
        for reference in ["web", &id, &id[..12], &id[..1]] {
            assert_eq!(hoist.inspect(reference)["Id"], id, "{reference}");
        }
        let ran = hoist.hoist(&["inspect", &format!("{id}0")]);
        ran.ended_with(1);
        assert!(ran.stderr.contains("no such container"), "{}", ran.stderr);
    }

    fn kill(hoist: &Hoist) {
        for (option, number) in [
            (&["kill"][..], 9),
            (&["kill", "-s", "TERM"], 15),
            (&["kill", "--signal", "SIGUSR1"], 10),
            (&["kill", "-s", "2"], 2),
        ] {
            let probe = ["trap".to_owned(), number.to_string(), "7".to_owned()];
            let probe: Vec<&str> = probe.iter().map(String::as_str).collect();
            let mut running = if number == 9 {
                hoist.background("web", &[], &["idle"])
            } else {
                hoist.background("web", &[], &probe)
            };
            let mut words = option.to_vec();
            words.push("web");
            assert_eq!(hoist.hoist(&words).succeeded(), "web\n");
            let ran = running.ended();
            ran.ended_with(if number == 9 { 137 } else { 7 });
            drop(running);
        }
        hoist
            .hoist(&["kill", "-s", "NOSUCH", "web"])
            .failed_with(1, &["--signal", "NOSUCH"]);
        hoist
            .hoist(&["kill", "web"])
            .failed_with(1, &["no such container: web"]);
    }

    fn stop_gently(hoist: &Hoist) {
        let mut running = hoist.background("web", &[], &["trap", "15", "5"]);
        assert_eq!(hoist.hoist(&["stop", "web"]).succeeded(), "web\n");
        let ran = running.ended();
        ran.ended_with(5);
        assert_eq!(ran.text(), "caught\n");
        assert_eq!(hoist.inspect("web")["State"]["ExitCode"], 5);
    }

    fn stop_signals(hoist: &Hoist) {
        let mut running =
            hoist.background("web", &["--stop-signal", "SIGUSR2"], &["trap", "12", "6"]);
        hoist.hoist(&["stop", "web"]).succeeded();
        running.ended().ended_with(6);
        drop(running);
        let mut running = hoist.background("web", &[], &["trap", "1", "8"]);
        hoist.hoist(&["stop", "-s", "HUP", "web"]).succeeded();
        running.ended().ended_with(8);
    }

    fn stop_by_force(hoist: &Hoist) {
        let mut running = hoist.background("web", &[], &["stubborn"]);
        hoist.hoist(&["stop", "-t", "1", "web"]).succeeded();
        running.ended().ended_with(137);
        assert_eq!(hoist.inspect("web")["State"]["ExitCode"], 137);
        drop(running);
        let mut running = hoist.background("web", &[], &["stubborn"]);
        hoist.hoist(&["stop", "--time", "0", "web"]).succeeded();
        running.ended().ended_with(137);
        hoist
            .hoist(&["stop", "-t", "soon", "web"])
            .failed_with(1, &["--timeout", "soon"]);
    }

    fn stop_timeout(hoist: &Hoist) {
        let mut running = hoist.background("web", &["--stop-timeout", "1"], &["stubborn"]);
        let before = Instant::now();
        hoist.hoist(&["stop", "web"]).succeeded();
        running.ended().ended_with(137);
        // docker's 10 seconds are the usual time.
        assert!(
            before.elapsed() < Duration::from_secs(10),
            "it waited for its own time"
        );
        assert!(
            before.elapsed() >= Duration::from_secs(1),
            "it did not wait"
        );
    }

    fn stop_ended(hoist: &Hoist) {
        let mut running = hoist.background("web", &[], &["trap", "15", "5"]);
        hoist.hoist(&["stop", "web"]).succeeded();
        running.ended();
        hoist.hoist(&["stop", "web"]).succeeded();
        assert_eq!(hoist.inspect("web")["State"]["ExitCode"], 5);
        let id = hoist.ids().remove(0);
        hoist
            .hoist(&["kill", "web"])
            .failed_with(1, &["signal container", &id, "it is stopped"]);
    }

    fn wait(hoist: &Hoist) {
        let mut running = hoist.background("web", &[], &["trap", "15", "42"]);
        let mut waiting = hoist.command(&["wait", "web"]);
        let waiting = waiting
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        hoist.hoist(&["kill", "-s", "TERM", "web"]).succeeded();
        let output = waiting.wait_with_output().unwrap();
        assert_eq!(output.stdout, b"42\n");
        running.ended().ended_with(42);
        assert_eq!(hoist.hoist(&["wait", "web", "web"]).succeeded(), "42\n42\n");
        hoist
            .hoist(&["wait", "nobody"])
            .failed_with(1, &["no such container: nobody"]);
    }

    fn rm(hoist: &Hoist) {
        let mut running = hoist.background("web", &[], &["idle"]);
        hoist.hoist(&["rm", "web"]).failed_with(1, &["running"]);
        assert_eq!(hoist.inspect("web")["State"]["Status"], "running");
        assert_eq!(hoist.hoist(&["rm", "-f", "web"]).succeeded(), "web\n");
        running.ended().ended_with(137);
        assert_eq!(hoist.ids(), Vec::<String>::new());
        hoist
            .hoist(&["rm", "web"])
            .failed_with(1, &["no such container: web"]);
        hoist.hoist(&["rm", "-f", "web"]).ended_with(0);
    }

    fn several(hoist: &Hoist) {
        let mut first = hoist.background("first", &[], &["trap", "15", "1"]);
        let mut second = hoist.background("second", &[], &["trap", "15", "2"]);
        let ran = hoist.hoist(&["stop", "first", "nobody", "second"]);
        ran.ended_with(1);
        assert_eq!(ran.text().lines().count(), 2);
        assert_eq!(ran.stderr, "hoist: no such container: nobody\n");
        first.ended().ended_with(1);
        second.ended().ended_with(2);
        assert_eq!(
            hoist.hoist(&["wait", "first", "second"]).succeeded(),
            "1\n2\n"
        );
        assert_eq!(
            hoist.hoist(&["rm", "first", "second"]).succeeded(),
            "first\nsecond\n"
        );
    }

    fn exec(hoist: &Hoist) {
        let _running = hoist.background("web", &["--hostname", "box"], &["idle"]);
        let first = hoist.inspect("web")["State"]["Pid"].as_u64().unwrap();
        let ran = hoist.exec(&[], "web", &["report"]);
        let report: hoist_testing::probe::report::Report = ran.json();
        assert_eq!(report.hostname, "box");
        assert!(report.processes.contains(&1) && report.pid != 1);
        for name in ["mnt", "pid", "net", "ipc", "uts"] {
            let link = std::fs::read_link(format!("/proc/{first}/ns/{name}")).unwrap();
            assert_eq!(
                report.namespaces[name],
                link.to_string_lossy(),
                "the container's {name} namespace"
            );
        }
        assert_eq!(
            report.descriptors.keys().copied().collect::<Vec<_>>(),
            [0, 1, 2]
        );
        let ran = hoist.exec(
            &[],
            "web",
            &["say", "out", "+", "warn", "err", "+", "exit", "9"],
        );
        assert_eq!(
            (ran.code, ran.text().as_str(), ran.stderr.as_str()),
            (9, "out\n", "err\n")
        );
        hoist_testing::command::finish(
            &mut hoist.further(&["-i"], "web", &["cat"]),
            b"through and through",
        )
        .succeeded();
    }

    fn exec_in_ended(hoist: &Hoist) {
        hoist
            .hoist(&["run", "--name", "ended", "--", "/bin/true"])
            .succeeded();
        let id = hoist.ids().remove(0);
        hoist
            .exec(&[], "ended", &["exit", "0"])
            .failed_with(125, &[&id, "it is stopped"]);
        hoist.remove("ended");
        hoist
            .exec(&[], "nobody", &["exit", "0"])
            .failed_with(125, &["no such container: nobody"]);
    }

    fn exec_options(hoist: &Hoist) {
        let _running = hoist.background("web", &["-e", "A=1", "-w", "/mnt"], &["idle"]);
        let file = hoist.write("env", "# a comment\nF=from file\n");
        let report: hoist_testing::probe::report::Report = hoist
            .exec(
                &["-e", "B=2", "--env-file", &file, "-w", "/home"],
                "web",
                &["report"],
            )
            .json();
        for variable in ["A=1", "B=2", "F=from file"] {
            assert!(
                report.environment.iter().any(|found| found == variable),
                "{variable}: {:?}",
                report.environment
            );
        }
        assert_eq!(report.working_directory.as_deref(), Some("/home"));
        let report: hoist_testing::probe::report::Report =
            hoist.exec(&[], "web", &["report"]).json();
        assert_eq!(report.working_directory.as_deref(), Some("/mnt"));
        if !hoist.is_ordinary_user() {
            let report: hoist_testing::probe::report::Report =
                hoist.exec(&["-u", "tester"], "web", &["report"]).json();
            assert_eq!((report.uids[0], report.gids[0]), (1000, 1001));
            assert!(report.groups.contains(&hoist_testing::root::EXTRA_GROUP));
            assert_eq!(report.capabilities.unwrap().effective, 0);
        }
        hoist
            .exec(&["-u", "nosuch"], "web", &["exit", "0"])
            .failed_with(125, &["nosuch"]);
        hoist
            .exec(&["-w", "/nosuch"], "web", &["exit", "0"])
            .failed_with(127, &["/nosuch"]);
    }

    fn info(hoist: &Hoist) {
        let info: Value = hoist.hoist(&["info", "--format", "json"]).json();
        assert_eq!(info["backend"], "linux");
        let features = info["features"].as_array().unwrap();
        for name in [
            "kernel",
            "user namespaces",
            "overlayfs",
            "seccomp",
            "cgroups",
        ] {
            assert!(
                features.iter().any(|feature| feature["name"] == name),
                "{name}"
            );
        }
        for feature in features {
            assert!(
                feature["available"] == true
                    || feature["detail"]
                        .as_str()
                        .is_some_and(|text| !text.is_empty()),
                "{feature}"
            );
        }
        let is_available = |name: &str| {
            features
                .iter()
                .any(|feature| feature["name"] == name && feature["available"] == true)
        };
        assert!(is_available("procfs"), "containers have one: {info}");
        // Who may make no cgroups has no limits, and is told so.
        for (feature, options) in [
            ("cgroup memory limits", ["-m", "64m"]),
            ("cgroup cpu limits", ["--cpus", "0.5"]),
            ("cgroup pids limits", ["--pids-limit", "50"]),
        ] {
            let works = hoist.run(&options, &["exit", "0"]).code == 0;
            assert_eq!(is_available(feature), works, "{feature}: {info}");
        }
        let text = hoist.hoist(&["info"]).succeeded();
        assert!(text.starts_with("hoist "), "{text}");
        assert!(text.lines().count() > features.len(), "{text}");
    }

    fn plan(hoist: &Hoist) {
        let root = hoist.root().to_str().unwrap();
        let text = hoist
            .hoist(&[
                "plan",
                "--rootfs",
                root,
                "--hostname",
                "box",
                "--",
                "/probe",
            ])
            .succeeded();
        let lines: Vec<&str> = text.lines().collect();
        for (line, number) in lines.iter().zip(1..) {
            assert!(
                line.trim_start().starts_with(&format!("{number}  ")),
                "{line}"
            );
        }
        for words in ["set hostname box", "mount proc on /proc", "seccomp filter"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(lines.last().unwrap().contains("execute /probe"), "{text}");
        let steps: Vec<Value> = hoist
            .hoist(&[
                "plan",
                "--json",
                "--rootfs",
                root,
                "--hostname",
                "box",
                "--",
                "/probe",
            ])
            .json();
        assert_eq!(steps.len(), lines.len());
        for step in &steps {
            for member in ["lane", "name", "words"] {
                assert!(step[member].is_string(), "{step}");
            }
        }
        assert_eq!(hoist.ids(), Vec::<String>::new());
        hoist
            .hoist(&["plan", "--rootfs", "/nosuch", "true"])
            .failed_with(1, &["/nosuch"]);
    }

    fn version(hoist: &Hoist) {
        let version = env!("CARGO_PKG_VERSION");
        let text = hoist.hoist(&["version"]).succeeded();
        assert!(
            text.starts_with(&format!("hoist {version} (linux/")),
            "{text}"
        );
        let json: Value = hoist.hoist(&["version", "-f", "json"]).json();
        assert_eq!(json["version"], version);
        assert_eq!(json["os"], "linux");
        for word in ["-v", "--version"] {
            assert_eq!(
                hoist.hoist(&[word]).succeeded(),
                format!("hoist {version}\n")
            );
        }
    }

    fn completions(hoist: &Hoist) {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let script = hoist.hoist(&["completions", shell]).succeeded();
            for word in ["inspect", "cap-add", "stop-timeout"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
        let script = hoist.hoist(&["completions", "bash"]).succeeded();
        let file = hoist.write("hoist.bash", &script);
        let check = "source \"$1\" && complete -p hoist && \
                     COMP_WORDS=(hoist run --na) COMP_CWORD=2 && _hoist hoist --na run && echo \"${COMPREPLY[*]}\"";
        let output = std::process::Command::new("bash")
            .args(["-c", check, "bash", &file])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("--name"), "{output:?}");
        hoist
            .hoist(&["completions", "nosuch"])
            .failed_with(1, &["nosuch"]);
    }

    fn help(hoist: &Hoist) {
        let text = hoist.hoist(&["--help"]).succeeded();
        for command in [
            "run",
            "exec",
            "ps",
            "inspect",
            "top",
            "stop",
            "kill",
            "wait",
            "rm",
            "info",
            "plan",
            "version",
            "completions",
        ] {
            assert!(
                text.lines()
                    .any(|line| line.trim_start().starts_with(command)),
                "{command}: {text}"
            );
            hoist.hoist(&[command, "--help"]).succeeded();
        }
        let text = hoist.hoist(&["run", "--help"]).succeeded();
        for option in [
            "-i,",
            "-t,",
            "--rm",
            "--name",
            "--rootfs",
            "--layer",
            "-e,",
            "--env-file",
            "-w,",
            "-u,",
            "-v,",
            "--mount",
            "--tmpfs",
            "--read-only",
            "-m,",
            "--cpus",
            "--cpu-shares",
            "--pids-limit",
            "--hostname",
            "--cap-add",
            "--cap-drop",
            "--security-opt",
            "--network",
            "--init",
            "--cidfile",
            "--stop-signal",
            "--stop-timeout",
            "--timeline",
        ] {
            assert!(text.contains(option), "{option}: {text}");
        }
        // What a user must know of the default root.
        assert!(text.contains("/usr, /bin, /sbin"), "{text}");
        assert!(text.contains("Nothing of"), "{text}");
    }

    fn reader_gone(hoist: &Hoist) {
        use std::process::Stdio;
        assert_ne!(hoist.hoist(&["info"]).succeeded(), "");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = hoist
            .command(&["info"])
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}
