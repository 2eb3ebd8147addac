//! `hoist completions`: what clap makes of the command line, and the names of containers, which only the command itself knows.

use std::fmt::Write as _;

use clap::{ArgAction, Command};
use clap_complete::Shell;

use crate::args;
use crate::failure::Failure;
use crate::output;

/// Writes the script of a shell.
pub(crate) fn run(shell: Shell) -> Result<u8, Failure> {
    let mut command = args::command(None);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "hoist", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let takers = takers(&command);
    output::print(&match shell {
        Shell::Bash => bash(script, &takers),
        Shell::Zsh => zsh(&script),
        Shell::Fish => fish(script, &takers),
        _ => script,
    })?;
    Ok(0)
}

/// What a command is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    OneContainer,
    Containers,
    /// Paths here and in one container.
    Paths,
}

/// A command that is given containers.
struct Taker {
    /// The group that it is of, where it is of one.
    group: Option<String>,
    /// Its name, and other ones.
    names: Vec<String>,
    given: Given,
    /// Its options that have no value: what stands behind one may be a container.
    switches: Vec<String>,
}

fn takers(all: &Command) -> Vec<Taker> {
    let mut takers = Vec::new();
    for command in all.get_subcommands() {
        takers.extend(taker(None, command));
        let group = command.get_name();
        let of_group = command.get_subcommands();
        takers.extend(of_group.filter_map(|command| taker(Some(group), command)));
    }
    takers
}

fn taker(group: Option<&str>, command: &Command) -> Option<Taker> {
    let given = command.get_positionals().find_map(|positional| {
        let name = positional.get_value_names()?.first()?;
        if name == "SRC" {
            return Some(Given::Paths);
        }
        if !name.starts_with("CONTAINER") {
            return None;
        }
        let several = matches!(positional.get_action(), ArgAction::Append);
        // What is behind a trailing one is a program.
        Some(match several && !positional.is_trailing_var_arg_set() {
            true => Given::Containers,
            false => Given::OneContainer,
        })
    })?;
    let without_value = command.get_arguments().filter(|option| {
        !option.is_positional()
            && !matches!(option.get_action(), ArgAction::Set | ArgAction::Append)
    });
    let switches = without_value.flat_map(|option| {
        let short = option.get_short_and_visible_aliases().unwrap_or_default();
        let long = option.get_long_and_visible_aliases().unwrap_or_default();
        let short = short.into_iter().map(|letter| format!("-{letter}"));
        short.chain(long.into_iter().map(|word| format!("--{word}")))
    });
    let names = std::iter::once(command.get_name()).chain(command.get_visible_aliases());
    Some(Taker {
        group: group.map(str::to_owned),
        names: names.map(str::to_owned).collect(),
        given,
        switches: switches.collect(),
    })
}

/// How a container is called, by its name where it has one.
const LIST: &str = "ps -a --format '{{or .Names .ID}}' 2>/dev/null";

fn bash(script: String, takers: &[Taker]) -> String {
    let mut cases = String::new();
    for taker in takers {
        let group = taker.group.iter().map(|group| format!("{group} "));
        let group = group.collect::<String>();
        let names = taker.names.iter().map(|name| format!("\"{group}{name}\""));
        let given = match taker.given {
            Given::OneContainer => "one",
            Given::Containers => "several",
            Given::Paths => "paths",
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            cases,
            "        {}) given={given}; switches=\" {} \" ;;",
            names.collect::<Vec<_>>().join(" | "),
            taker.switches.join(" ")
        );
    }
    let mut groups: Vec<&str> = takers
        .iter()
        .filter_map(|taker| taker.group.as_deref())
        .collect();
    groups.dedup();
    let groups = groups.join(" | ");
    script.replace("complete -F _hoist ", "complete -F _hoist_with_containers ")
        + &format!(
            r#"
_hoist_with_containers() {{
    _hoist "$@"
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}"
    local command="" given switches name i roots=() names=()
    [[ "$cur" == -* ]] && return 0
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${{COMP_WORDS[i]}}" in
        --state-root | --log-format | --log-level)
            [[ "${{COMP_WORDS[i+1]}}" == "=" ]] && unset "COMP_WORDS[i+1]" && COMP_WORDS=("${{COMP_WORDS[@]}}") && ((COMP_CWORD--))
            [[ "${{COMP_WORDS[i]}}" == --state-root ]] && roots=(--state-root "${{COMP_WORDS[i+1]}}")
            ((i++)) ;;
        -*) ;;
        *) command="${{COMP_WORDS[i]}}"; break ;;
        esac
    done
    case "$command" in
    {groups})
        for ((i++; i < COMP_CWORD; i++)); do
            [[ "${{COMP_WORDS[i]}}" == -* ]] || {{ command+=" ${{COMP_WORDS[i]}}"; break; }}
        done ;;
    esac
    case "$command" in
{cases}        *) return 0 ;;
    esac
    # Of several letters the last one may have a value.
    [[ "$prev" == -[!-]?* ]] && prev="-${{prev: -1}}"
    [[ "$prev" == -* && "$switches" != *" $prev "* ]] && return 0
    mapfile -t names < <("${{COMP_WORDS[0]}}" "${{roots[@]}}" {LIST})
    case "$given" in
    one)
        for name in "${{names[@]}}"; do
            [[ " ${{COMP_WORDS[*]:i+1:COMP_CWORD-i-1}} " == *" $name "* ]] && return 0
        done ;;
    paths)
        # This one, or the other one, is in a container already.
        [[ "${{COMP_WORDS[*]:i+1:COMP_CWORD-i}}" == *:* ]] && return 0
        names=($(compgen -W "${{names[*]}}" -S : -- "$cur"))
        # Without any, the shell looks for files.
        ((${{#names[@]}})) || return 0
        compopt -o nospace 2>/dev/null
        mapfile -t -O "${{#names[@]}}" names < <(compgen -f -- "$cur")
        COMPREPLY+=("${{names[@]}}")
        return 0 ;;
    esac
    COMPREPLY+=($(compgen -W "${{names[*]}}" -- "$cur"))
}}
"#
        )
}

/// clap writes, for each argument, its name and what completes it.
fn zsh(script: &str) -> String {
    let mut text = String::with_capacity(script.len());
    for line in script.split_inclusive('\n') {
        let argument = line.trim_start_matches(['\'', '*', ':']);
        let by = if argument.starts_with("container -- ") || argument.starts_with("containers -- ")
        {
            "_hoist_containers"
        } else if argument.starts_with("words -- Container, then") {
            "_hoist_container_then_others"
        } else if argument.starts_with("source -- ") || argument.starts_with("destination -- ") {
            "_hoist_container_paths"
        } else {
            if line.starts_with("if [ \"$funcstack[1]\"") {
                text.push_str(&zsh_functions());
            }
            text.push_str(line);
            continue;
        };
        text.push_str(&line.replace(":_default'", &format!(":{by}'")));
    }
    text
}

fn zsh_functions() -> String {
    format!(
        r#"(( $+functions[_hoist_containers] )) ||
_hoist_containers() {{
    local root=${{opt_args[--state-root]}}
    local -a names
    names=(${{(f)"$(hoist ${{root:+--state-root=$root}} {LIST})"}})
    _wanted containers expl container compadd -a names
}}

(( $+functions[_hoist_container_paths] )) ||
_hoist_container_paths() {{
    [[ "$PREFIX" == *:* ]] && return 1
    local root=${{opt_args[--state-root]}}
    local -a names
    local ret=1
    names=(${{(f)"$(hoist ${{root:+--state-root=$root}} {LIST})"}})
    _wanted containers expl container compadd -S : -a names && ret=0
    _files && ret=0
    return ret
}}

(( $+functions[_hoist_container_then_others] )) ||
_hoist_container_then_others() {{
    if (( CURRENT == 1 )); then
        _hoist_containers
    else
        _default
    fi
}}

"#
    )
}

fn fish(script: String, takers: &[Taker]) -> String {
    let mut text = script;
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "function __fish_hoist_containers\n    hoist {LIST}\nend\n"
    );
    for taker in takers {
        let names = taker.names.join(" ");
        let condition = match &taker.group {
            None => format!("__fish_hoist_using_subcommand {names}"),
            Some(group) => format!(
                "__fish_hoist_using_subcommand {group}; and __fish_seen_subcommand_from {names}"
            ),
        };
        let offers = match taker.given {
            Given::OneContainer | Given::Containers => "-f -a \"(__fish_hoist_containers)\"",
            // Beside files.
            Given::Paths => "-a \"(__fish_hoist_containers):\"",
        };
        let _ = writeln!(text, "complete -c hoist -n \"{condition}\" {offers}");
    }
    text
}
