//! What the service can do here, and why not what it cannot.

use hoist_compute::Feature;

/// Windows Server 2019: the first build whose service delivers console events to processes.
const SIGNALS: u32 = 17763;

/// What is so on every Windows, and of this build.
pub(super) fn of_windows(build: Option<u32>) -> Vec<Feature> {
    let lacking = |name, detail: &str| Feature {
        name,
        available: false,
        detail: detail.to_owned(),
        remedy: None,
    };
    vec![
        Feature {
            name: "windows build",
            available: build.is_some_and(|build| build >= SIGNALS),
            detail: build.map_or_else(
                || "this Windows does not tell its build".to_owned(),
                |build| format!("{build}; {SIGNALS} or later is needed for signals"),
            ),
            remedy: Some(
                "keep it up to date: earlier builds have let containers gain privileges (CVE-2021-26865, CVE-2021-26891)"
                    .to_owned(),
            ),
        },
        Feature {
            name: "boundary against hostile programs",
            available: false,
            detail:
                "process isolation shares the kernel of this machine, and is no security boundary"
                    .to_owned(),
            remedy: Some("run what you do not trust with Hyper-V isolation".to_owned()),
        },
        lacking(
            "unix signals",
            "Windows delivers console events: HUP, INT, QUIT and TERM have one each, and KILL ends by force",
        ),
        lacking(
            "limits of a further process",
            "the service limits whole containers",
        ),
        lacking(
            "given streams",
            "the service makes its own pipes: what is given is copied to and from",
        ),
    ]
}

/// The build of this machine's Windows.
pub(super) fn build() -> Option<u32> {
    #[cfg(windows)]
    return crate::sys::windows_build();
    #[cfg(not(windows))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of security.md, section 2d: CVE-2021-26891, CVE-2021-26865 and Siloscape.
    #[test]
    fn an_old_build_is_warned_of_and_process_isolation_is_called_no_boundary() {
        let find = |build, name| {
            let all = of_windows(build);
            all.into_iter()
                .find(|feature| feature.name == name)
                .unwrap()
        };
        assert!(find(Some(20348), "windows build").available);
        let old = find(Some(14393), "windows build");
        assert!(!old.available && old.detail.starts_with("14393"));
        assert!(old.remedy.unwrap().contains("CVE-2021-26891"));
        assert!(!find(None, "windows build").available);
        let boundary = find(Some(20348), "boundary against hostile programs");
        assert!(!boundary.available && boundary.remedy.unwrap().contains("Hyper-V"));
    }
}
