//! What single values must look like on Linux; each check says why a value cannot be.

use crate::parse_capability;
use crate::user::{UserError, UserRequest};

/// The kernel's limit for a host name (`__NEW_UTS_LEN`, uname(2)).
const LONGEST_HOSTNAME: usize = 64;

/// `Ok`, or why not.
pub(crate) type Check = Result<(), String>;

fn refuse(reason: impl Into<String>) -> Check {
    Err(reason.into())
}

/// A text that goes to the kernel, which ends texts at NUL.
pub(crate) fn no_nul(text: &str) -> Check {
    if text.contains('\0') {
        return refuse("holds a NUL character");
    }
    Ok(())
}

/// A text that goes to the kernel, or into its line-based tables.
pub(crate) fn one_line(text: &str) -> Check {
    if text.contains(['\0', '\n']) {
        return refuse("holds a NUL character or a line end");
    }
    Ok(())
}

pub(crate) fn absolute_path(path: &str) -> Check {
    one_line(path)?;
    if !path.starts_with('/') {
        return refuse("is not an absolute path");
    }
    Ok(())
}

pub(crate) fn hostname(name: &str) -> Check {
    if name.len() > LONGEST_HOSTNAME {
        return refuse(format!("is longer than {LONGEST_HOSTNAME} bytes"));
    }
    let valid = name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if !valid {
        return refuse(
            "is no host name: use letters, digits, '-', '.' and '_', and begin with a letter or digit",
        );
    }
    Ok(())
}

/// `KEY=value`.
pub(crate) fn environment_entry(entry: &str) -> Check {
    no_nul(entry)?;
    match entry.find('=') {
        None => refuse("has no '='; write KEY=value"),
        Some(0) => refuse("has no name before '='"),
        Some(_) => Ok(()),
    }
}

/// `user[:group]`; whether they exist only the container's own files can tell.
pub(crate) fn user(user: &str) -> Check {
    one_line(user)?;
    if user.matches(':').count() > 1 {
        return refuse("has more than one ':'; write user or user:group");
    }
    match UserRequest::parse(user) {
        Err(error @ UserError::OutOfRange(_)) => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// The name of a capability, or `ALL`.
pub(crate) fn capability(name: &str) -> Check {
    if is_all(name) || parse_capability(name).is_ok() {
        return Ok(());
    }
    refuse(
        "is no capability: use ALL or a name of capabilities(7), such as NET_ADMIN or CAP_NET_ADMIN",
    )
}

/// Whether a capability's name stands for all of them.
pub(crate) fn is_all(name: &str) -> bool {
    name.eq_ignore_ascii_case("ALL")
}

/// A list of processors as cpuset(7) writes it: `0-3,7`.
pub(crate) fn processor_list(list: &str) -> Check {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u32>().ok()).flatten()
        };
        matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last)
    };
    if list.split(',').all(range) {
        return Ok(());
    }
    refuse("is no list of processors; write numbers and ranges such as 0-3,7")
}

/// A number within a range, where zero means "not given".
pub(crate) fn within(number: i64, least: i64, most: i64) -> Check {
    if number == 0 || (least..=most).contains(&number) {
        return Ok(());
    }
    if most == i64::MAX {
        return refuse(format!("is below {least}"));
    }
    refuse(format!("is not between {least} and {most}"))
}

/// An absolute path without `.`, `..`, empty parts and a slash at the end; `..` stops at `/`.
pub fn clean_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether `path` is `folder` or below it; both clean.
pub(crate) fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_what_the_kernel_and_people_take() {
        for name in ["a", "web01", "my_host.example-1", &"a".repeat(64)] {
            assert_eq!(hostname(name), Ok(()), "{name}");
        }
        for name in ["", "-a", ".a", "a b", "a\n", "ä", &"a".repeat(65)] {
            assert!(hostname(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn environment_entries_need_a_name_and_keep_every_equals_sign_of_the_value() {
        for entry in ["A=", "A=b", "A=b=c", "a b=c", "A=line\nline"] {
            assert_eq!(environment_entry(entry), Ok(()), "{entry}");
        }
        for entry in ["", "A", "=b", "A=\0"] {
            assert!(environment_entry(entry).is_err(), "{entry:?}");
        }
    }

    #[test]
    fn processor_lists_are_numbers_and_rising_ranges() {
        for list in ["0", "0-3", "0-3,7", "5,1"] {
            assert_eq!(processor_list(list), Ok(()), "{list}");
        }
        for list in ["", ",", "0-", "-1", "3-1", "+1", "0 ,1", "a", "1-2-3"] {
            assert!(processor_list(list).is_err(), "{list:?}");
        }
    }

    #[test]
    fn paths_are_cleaned_as_the_kernel_would_walk_them_without_links() {
        for (path, clean) in [
            ("/", "/"),
            ("//a/./b/", "/a/b"),
            ("/a/../../b", "/b"),
            ("/data/../proc", "/proc"),
        ] {
            assert_eq!(clean_path(path), clean);
        }
        assert!(is_within("/proc/self", "/proc") && is_within("/proc", "/proc"));
        assert!(!is_within("/process", "/proc"));
    }
}
