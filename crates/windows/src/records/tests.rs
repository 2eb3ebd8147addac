use hoist_compute::{State, Timestamp};

use super::*;
use crate::seen::{Seen, Started};

#[derive(Debug, Serialize, Deserialize)]
struct Config {
    version: u32,
}

struct Process(Timestamp);

impl Started for Process {
    fn pid(&self) -> u32 {
        7
    }

    fn started_at(&self) -> Timestamp {
        self.0
    }
}

fn record() -> (tempfile::TempDir, Records, Record) {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::new(folder.path().to_owned()).unwrap();
    let record = records.of(&"c1".parse().unwrap());
    records.make(&record, &Config { version: VERSION }).unwrap();
    (folder, records, record)
}

#[test]
fn the_first_end_that_is_recorded_is_the_one_that_counts() {
    let (_folder, _, record) = record();
    let first = ExitStatus::exited(7);
    assert_eq!(record.write_exit(0, &first).unwrap(), first);
    let second = record.write_exit(0, &ExitStatus::exited(8)).unwrap();
    assert_eq!(second, first);
    assert_eq!(record.exit(0).unwrap(), Some(first));
}

#[test]
fn a_reset_keeps_the_end_of_the_last_run_and_nothing_of_an_older_one() {
    let (_folder, _, record) = record();
    for run in 0..3 {
        assert_eq!(record.run().unwrap(), run);
        record.write_exit(run, &ExitStatus::exited(1)).unwrap();
        for what in ["forced", "timed-out", "updates-pending"] {
            record.mark(what, run).unwrap();
        }
        record.note("updates-unknown", run, "why").unwrap();
        record.write_started(run, &run).unwrap();
        record.next_run(run).unwrap();
    }
    assert!(record.exit(2).unwrap().is_some());
    assert_eq!(record.runs().unwrap(), [2]);
    let noted = record.noted("updates-unknown", 2).unwrap();
    assert_eq!(noted.as_deref(), Some("why"));
    let names = fs::read_dir(&record.folder).unwrap();
    let of_older = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("-0") || name.contains("-1"));
    assert_eq!(of_older.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_file_that_is_torn_or_of_a_newer_version_is_an_error_and_stays() {
    let (_folder, _, record) = record();
    let path = record.folder.join("config.json");
    let newer = b"{\"version\":2,\"x\":1}";
    for (text, kind, remedy) in [
        (&b"{\"ver"[..], ErrorKind::Damaged, "hoist rm --force c1"),
        (b"\xff", ErrorKind::Damaged, "hoist rm --force c1"),
        (newer, ErrorKind::Unsupported, "newer"),
    ] {
        fs::write(&path, text).unwrap();
        let error = record.config::<Config>().unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.what_to_do().unwrap().contains(remedy), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), text);
    }
    let exec = record.exec(&"e".parse().unwrap());
    exec.begin().unwrap();
    fs::write(exec.folder.join("process-0.json"), "").unwrap();
    let error = exec.started::<Config>(0).unwrap_err();
    // It is the container that is removed with all its execs.
    let remedy = error.what_to_do().unwrap();
    assert!(remedy.contains("hoist rm --force c1"), "{error:?}");
    assert_eq!(exec.runs().unwrap(), [0]);
}

#[test]
fn what_is_removed_leaves_its_id_free_and_no_file_behind() {
    let (folder, records, record) = record();
    records.remove(&record).unwrap();
    records.remove(&record).unwrap();
    assert!(!record.exists() && records.all().unwrap().is_empty());
    let left = fs::read_dir(folder.path().join("removed")).unwrap().count();
    assert_eq!(left, 0);
    record.begin().unwrap();
    assert!(!record.is_made());
}

#[test]
fn what_a_crash_left_is_removed_by_the_next_and_what_cannot_be_written_leaves_nothing() {
    struct Unwritable;
    impl Serialize for Unwritable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    let (_folder, records, _) = record();
    let torn = records.of(&"torn".parse().unwrap());
    torn.begin().unwrap();
    torn.mark("begun", 0).unwrap();
    records.make(&torn, &Config { version: VERSION }).unwrap();
    assert!(torn.is_made() && !torn.is_marked("begun", 0));
    let refused = records.of(&"refused".parse().unwrap());
    assert!(records.make(&refused, &Unwritable).is_err());
    assert!(!refused.exists());
}

#[test]
fn a_survey_leaves_out_what_is_not_made_or_is_deleted_meanwhile_and_tells_what_is_damaged() {
    let (_folder, records, first) = record();
    let now = Timestamp::now();
    let list = || {
        records.survey(|record, _: Config| {
            if record.id().as_str() == "gone" {
                return Err(record.not_found());
            }
            let seen: Seen<Process> = Seen::Stopped {
                started: Some(Process(now)),
                status: ExitStatus::exited(3),
            };
            Ok(seen.summary(&record, None, now))
        })
    };
    let gone = records.of(&"gone".parse().unwrap());
    records.make(&gone, &Config { version: VERSION }).unwrap();
    records.of(&"begun".parse().unwrap()).begin().unwrap();
    let listed = list().unwrap().whole().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id, *first.id());
    // It has ended: its process's id may be another's by now.
    assert_eq!((listed[0].pid, listed[0].started_at), (None, Some(now)));
    assert_eq!(listed[0].state, State::Stopped);
    let seen: Seen<Process> = Seen::Running {
        started: Process(now),
        process: (),
        is_paused: true,
    };
    let paused = seen.summary(&first, None, now);
    assert_eq!((paused.pid, paused.state), (Some(7), State::Paused));
    assert_eq!(paused.exit, None);
    fs::write(gone.folder.join("config.json"), "{").unwrap();
    let survey = list().unwrap();
    assert_eq!(survey.summaries.len(), 1);
    let [damaged] = &survey.unreadable[..] else {
        panic!("{:?}", survey.unreadable)
    };
    assert_eq!(damaged.kind(), ErrorKind::Damaged);
    assert_eq!(damaged.subject(), Some("gone"));
    assert_eq!(survey.whole().unwrap_err().kind(), ErrorKind::Damaged);
    let ids = records.ids("").unwrap();
    assert!(
        ids.iter()
            .map(ContainerId::as_str)
            .eq(["begun", "c1", "gone"])
    );
    assert_eq!(records.ids("g").unwrap().len(), 1);
}

#[test]
fn execs_are_recorded_below_their_container_and_go_with_it() {
    let (_folder, records, record) = record();
    assert!(record.execs().unwrap().is_empty());
    let ids = ["a", "b"].map(|id| id.parse::<ExecId>().unwrap());
    for id in ids.iter().rev() {
        let exec = record.exec(id);
        records.make(&exec, &Config { version: VERSION }).unwrap();
        assert!(exec.begin().is_err());
    }
    let listed = record.execs().unwrap();
    assert!(listed.iter().map(Record::id).eq(&ids));
    records.remove(&listed[0]).unwrap();
    assert_eq!(record.execs().unwrap().len(), 1);
    records.remove(&record).unwrap();
    let late = record.exec(&ids[0]).begin().unwrap_err();
    assert_eq!(late.kind(), ErrorKind::NotFound);
    assert!(!record.exists(), "a removed container came back");
}
