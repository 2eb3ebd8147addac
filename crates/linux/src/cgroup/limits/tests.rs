use proptest::prelude::*;

use super::super::{
    devices::tests::DOCKER,
    layout::tests::{hybrid, v2_only},
};
use super::{check::numbers, cpu::weight_of, *};

fn resources(json: &str) -> LinuxResources {
    serde_json::from_str(json).unwrap()
}

fn plan(json: &str, layout: &Layout) -> Result<Limits, LimitError> {
    plan_limits(&resources(json), layout, DeviceControl::Leave)
}

fn lines(writes: &[Write]) -> Vec<String> {
    writes
        .iter()
        .map(|write| format!("{} = {}", write.file, write.value))
        .collect()
}

fn change(json: &str, layout: &Layout, now: &[(&str, &str)]) -> Result<Vec<String>, LimitError> {
    let current = |_: usize, file: &str| {
        now.iter()
            .find(|(name, _)| *name == file)
            .map(|(_, text)| (*text).to_owned())
    };
    plan_change(&resources(json), layout, &current).map(|writes| lines(&writes))
}

const ALL: &str = r#"{
    "memory": {"limit": 536870912, "swap": 1073741824, "reservation": 268435456},
    "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "burst": 1000, "cpus": "0-1", "mems": "0"},
    "pids": {"limit": 100},
    "blockIO": {"weight": 500, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1048576}]},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]
}"#;

#[test]
fn every_limit_has_its_v1_files() {
    let mut layout = hybrid();
    // Here huge pages are in a v1 hierarchy too.
    layout.hierarchies[1].controllers.push("hugetlb".to_owned());
    let plan = plan(ALL, &layout).unwrap();
    assert_eq!(
        lines(&plan.writes),
        [
            "memory.limit_in_bytes = 536870912",
            "memory.memsw.limit_in_bytes = 1073741824",
            "memory.soft_limit_in_bytes = 268435456",
            "cpu.shares = 1024",
            "cpu.cfs_period_us = 100000",
            "cpu.cfs_quota_us = 50000",
            "cpu.cfs_burst_us = 1000",
            "cpuset.cpus = 0-1",
            "cpuset.mems = 0",
            "pids.max = 100",
            "blkio.bfq.weight = 500",
            "blkio.throttle.read_bps_device = 8:0 1048576",
            "hugetlb.2MB.limit_in_bytes = 4194304",
            "hugetlb.2MB.rsvd.limit_in_bytes = 4194304",
        ]
    );
    assert_eq!(plan.required, [""; 0]);
    assert_eq!(
        plan.writes[0].words(),
        "set memory limit: memory.limit_in_bytes = 536870912"
    );
}

#[test]
fn every_limit_has_its_v2_files_and_names_its_controller() {
    let plan = plan(ALL, &v2_only()).unwrap();
    assert_eq!(
        lines(&plan.writes),
        [
            "memory.swap.max = 536870912",
            "memory.max = 536870912",
            "memory.low = 268435456",
            "cpu.weight = 100",
            "cpu.max = 50000 100000",
            "cpu.max.burst = 1000",
            "cpuset.cpus = 0-1",
            "cpuset.mems = 0",
            "pids.max = 100",
            "io.bfq.weight = 500",
            "io.max = 8:0 rbps=1048576",
            "hugetlb.2MB.max = 4194304",
            "hugetlb.2MB.rsvd.max = 4194304",
        ]
    );
    assert_eq!(
        plan.required,
        ["memory", "cpu", "cpuset", "pids", "io", "hugetlb"]
    );
    assert_eq!(
        plan.writes[9].instead,
        Some(("io.weight".into(), "4950".to_owned()))
    );
}

#[test]
fn a_hybrid_host_takes_each_controller_from_where_it_is() {
    let layout = hybrid();
    let plan = plan(ALL, &layout).unwrap();
    let of = |file: &str| {
        plan.writes
            .iter()
            .find(|write| write.file == file)
            .map(|write| write.hierarchy)
    };
    assert_eq!(of("memory.limit_in_bytes"), Some(1));
    assert_eq!(of("hugetlb.2MB.max"), layout.unified());
    assert_eq!(plan.required, ["hugetlb"]);
}

#[test]
fn accounting_controllers_are_those_the_unified_hierarchy_offers_and_nothing_requires() {
    let v2 = plan(r#"{"pids": {"limit": 5}}"#, &v2_only()).unwrap();
    assert_eq!(v2.required, ["pids"]);
    assert_eq!(v2.accounting, ["cpu", "memory"]);
    assert_eq!(plan("{}", &hybrid()).unwrap().accounting, [""; 0]);
}

#[test]
fn a_missing_controller_is_named() {
    let mut layout = v2_only();
    layout.hierarchies[0]
        .controllers
        .retain(|name| name != "memory" && name != "io");
    let error = plan(r#"{"memory": {"limit": 1048576}}"#, &layout).unwrap_err();
    assert_eq!(
        error.to_string(),
        "set memory limit: the cgroup controller memory is not available: no mounted cgroup hierarchy has it"
    );
    let error = plan(r#"{"blockIO": {"weight": 100}}"#, &layout).unwrap_err();
    assert!(
        matches!(&error, LimitError::MissingController { controller, .. } if controller == "io")
    );
    let none = Layout::default();
    for json in [
        r#"{"cpu": {"shares": 2}}"#,
        r#"{"cpu": {"quota": 1000}}"#,
        r#"{"cpu": {"cpus": "0"}}"#,
        r#"{"pids": {"limit": 1}}"#,
        r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}"#,
    ] {
        assert!(
            matches!(plan(json, &none), Err(LimitError::MissingController { .. })),
            "{json}"
        );
    }
}

#[test]
fn unset_and_unlimited_values_write_nothing_and_need_no_controller() {
    let json = r#"{
        "memory": {"limit": 0, "swap": -1, "reservation": 0, "disableOOMKiller": false},
        "cpu": {"shares": 0, "quota": -1, "period": 0, "cpus": "", "mems": ""},
        "pids": {"limit": -1},
        "blockIO": {"weight": 0},
        "hugepageLimits": [{"pageSize": "1GB", "limit": -1}]
    }"#;
    assert_eq!(plan(json, &Layout::default()), Ok(Limits::default()));
}

#[test]
fn senseless_values_are_refused() {
    for json in [
        r#"{"memory": {"limit": -2}}"#,
        r#"{"memory": {"limit": 2097152, "swap": 1048576}}"#,
        r#"{"memory": {"swap": 1048576}}"#,
        r#"{"memory": {"limit": -1, "swap": 1048576}}"#,
        r#"{"cpu": {"shares": 1}}"#,
        r#"{"cpu": {"shares": 262145}}"#,
        r#"{"cpu": {"quota": 1000, "burst": 2000}}"#,
        r#"{"cpu": {"idle": 2}}"#,
        r#"{"cpu": {"cpus": "1-0"}}"#,
        r#"{"cpu": {"cpus": "0\n1"}}"#,
        r#"{"blockIO": {"weight": 5}}"#,
        r#"{"hugepageLimits": [{"pageSize": "../x", "limit": 1}]}"#,
        r#"{"unified": {"memory/max": "1"}}"#,
        r#"{"unified": {"cgroup.procs": "1"}}"#,
        r#"{"unified": {"memory": "1"}}"#,
    ] {
        for layout in [v2_only(), hybrid()] {
            let result = plan(json, &layout);
            assert!(
                matches!(result, Err(LimitError::Invalid { .. })),
                "{json}: {result:?}"
            );
        }
    }
}

#[test]
fn what_v2_lacks_is_refused_there() {
    for json in [
        r#"{"memory": {"swappiness": 10}}"#,
        r#"{"memory": {"disableOOMKiller": true}}"#,
        r#"{"memory": {"kernelTCP": 1048576}}"#,
        r#"{"cpu": {"realtimeRuntime": 1000}}"#,
    ] {
        assert!(
            matches!(plan(json, &v2_only()), Err(LimitError::Unsupported { .. })),
            "{json}"
        );
        assert_eq!(plan(json, &hybrid()).unwrap().writes.len(), 1, "{json}");
    }
}

#[test]
fn unified_keys_are_written_last_in_a_fixed_order() {
    let json = r#"{"pids": {"limit": 7}, "unified": {"pids.max": "8", "memory.high": "max", "cgroup.max.depth": "2"}}"#;
    let plan = plan(json, &v2_only()).unwrap();
    assert_eq!(
        lines(&plan.writes),
        [
            "pids.max = 7",
            "cgroup.max.depth = 2",
            "memory.high = max",
            "pids.max = 8"
        ]
    );
    assert_eq!(plan.required, ["pids", "memory"]);
    assert!(matches!(
        super::plan_limits(
            &resources(r#"{"unified": {"pids.max": "8"}}"#),
            &hybrid(),
            DeviceControl::Leave
        ),
        Err(LimitError::MissingController { .. })
    ));
}

#[test]
fn dockers_device_list_is_twelve_writes_on_v1_and_a_program_on_v2() {
    let resources = resources(&format!(r#"{{"devices": {DOCKER}}}"#));
    let v1 = plan_limits(&resources, &hybrid(), DeviceControl::Enforce).unwrap();
    assert_eq!(v1.writes.len(), 12);
    assert_eq!(v1.writes[0].words(), "deny all devices: devices.deny = a");
    assert_eq!(
        v1.writes[2].words(),
        "allow device: devices.allow = c 1:3 rwm"
    );
    assert_eq!(v1.device_program, None);
    let v2 = plan_limits(&resources, &v2_only(), DeviceControl::Enforce).unwrap();
    assert_eq!(v2.writes, []);
    assert_eq!(v2.device_program.unwrap().len(), 18);
}

#[test]
fn devices_are_confined_without_any_rule_and_never_silently_open() {
    let none = LinuxResources::default();
    let v1 = plan_limits(&none, &hybrid(), DeviceControl::Enforce).unwrap();
    assert_eq!(
        lines(&v1.writes).first().map(String::as_str),
        Some("devices.deny = a")
    );
    assert!(matches!(
        plan_limits(&none, &Layout::default(), DeviceControl::Enforce),
        Err(LimitError::MissingController { controller, .. }) if controller == "devices"
    ));
    let privileged = resources(r#"{"devices": [{"allow": true, "access": "rwm"}]}"#);
    for layout in [v2_only(), hybrid()] {
        let plan = plan_limits(&privileged, &layout, DeviceControl::Enforce).unwrap();
        assert_eq!((plan.writes.len(), plan.device_program), (0, None));
    }
}

#[test]
fn memory_and_swap_change_in_the_order_that_the_kernel_accepts() {
    let grow = r#"{"memory": {"limit": 2097152, "swap": 4194304}}"#;
    let now = [("memory.memsw.limit_in_bytes", "1048576\n")];
    assert_eq!(
        change(grow, &hybrid(), &now).unwrap(),
        [
            "memory.memsw.limit_in_bytes = 4194304",
            "memory.limit_in_bytes = 2097152"
        ]
    );
    let now = [("memory.memsw.limit_in_bytes", "8388608\n")];
    assert_eq!(
        change(grow, &hybrid(), &now).unwrap(),
        [
            "memory.limit_in_bytes = 2097152",
            "memory.memsw.limit_in_bytes = 4194304"
        ]
    );
    assert_eq!(
        change(r#"{"memory": {"limit": -1}}"#, &hybrid(), &now).unwrap(),
        [
            "memory.memsw.limit_in_bytes = -1",
            "memory.limit_in_bytes = -1"
        ]
    );
}

#[test]
fn a_change_keeps_what_it_does_not_name() {
    let v2 = v2_only();
    assert_eq!(
        change(
            r#"{"cpu": {"period": 50000}}"#,
            &v2,
            &[("cpu.max", "25000 100000\n")]
        )
        .unwrap(),
        ["cpu.max = 25000 50000"]
    );
    assert_eq!(
        change(
            r#"{"memory": {"swap": 3145728}}"#,
            &v2,
            &[("memory.max", "1048576\n")]
        )
        .unwrap(),
        ["memory.swap.max = 2097152"]
    );
    assert!(
        change(
            r#"{"memory": {"swap": 3145728}}"#,
            &v2,
            &[("memory.max", "max\n")]
        )
        .is_err()
    );
}

#[test]
fn a_burst_shrinks_before_the_quota_and_grows_after_it() {
    let json = r#"{"cpu": {"quota": 20000, "burst": 10000}}"#;
    let with = |now: &str| change(json, &v2_only(), &[("cpu.max.burst", now)]).unwrap();
    assert_eq!(
        with("30000\n"),
        ["cpu.max.burst = 10000", "cpu.max = 20000"]
    );
    assert_eq!(with("0\n"), ["cpu.max = 20000", "cpu.max.burst = 10000"]);
}

#[test]
fn a_limit_below_the_usage_is_refused_where_that_is_to_be_checked() {
    let json = r#"{"memory": {"limit": 1048576, "checkBeforeUpdate": true}}"#;
    assert!(change(json, &v2_only(), &[("memory.current", "2097152\n")]).is_err());
    assert!(change(json, &v2_only(), &[("memory.current", "524288\n")]).is_ok());
}

#[test]
fn device_rules_cannot_be_changed() {
    let json = r#"{"devices": [{"allow": true, "access": "rwm"}]}"#;
    assert!(matches!(
        change(json, &hybrid(), &[]),
        Err(LimitError::Unsupported { .. })
    ));
}

#[test]
fn shares_become_weights_with_the_same_least_default_and_most() {
    assert_eq!(weight_of(2), 1);
    assert_eq!(weight_of(1024), 100);
    assert_eq!(weight_of(262_144), 10_000);
}

#[test]
fn a_value_agrees_with_what_the_kernel_makes_of_it() {
    assert!(agrees(PAGE, "1048577", "1048576\n"));
    assert!(!agrees(PAGE, "1048577", "524288\n"));
    assert!(!agrees(PAGE, "1048576", "1048577\n"));
    assert!(agrees(PAGE, "-1", "9223372036854771712\n"));
    assert!(agrees(PAGE, "max", "max\n"));
    assert!(!agrees(PAGE, "max", "1048576\n"));
    assert!(agrees(Check::Words, "50000", "50000 100000\n"));
    assert!(!agrees(Check::Words, "50000 50000", "50000 100000\n"));
    assert!(agrees(Check::List, "0,1", "0-1\n"));
    assert!(!agrees(Check::List, "0,2", "0-2\n"));
}

#[test]
fn an_undo_restores_one_line_of_a_file_with_many() {
    assert_eq!(undo("memory.max", "5", "1048576\n"), "1048576");
    let rates = "8:0 100\n8:16 200\n";
    assert_eq!(
        undo("blkio.throttle.read_bps_device", "8:16 5", rates),
        "8:16 200"
    );
    assert_eq!(
        undo("blkio.throttle.read_bps_device", "8:32 5", rates),
        "8:32 0"
    );
    assert_eq!(
        undo("io.max", "8:0 rbps=5", ""),
        "8:0 rbps=max wbps=max riops=max wiops=max"
    );
}

proptest! {
    #[test]
    fn weights_grow_with_shares_and_stay_in_range(one in 2u64..=262_144, two in 2u64..=262_144) {
        let (less, more) = (one.min(two), one.max(two));
        prop_assert!(weight_of(less) <= weight_of(more));
        prop_assert!((1..=10_000).contains(&weight_of(one)));
    }

    #[test]
    fn a_list_of_numbers_never_panics(list in "[0-9,\\- ]{0,12}") {
        let _ = numbers(&list);
    }
}
