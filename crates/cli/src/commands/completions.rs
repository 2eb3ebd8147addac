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

/// A command that is given containers.
struct Taker {
    name: String,
    takes_several: bool,
    /// Its options that have no value: what stands behind one may be a container.
    switches: Vec<String>,
}

fn takers(command: &Command) -> Vec<Taker> {
    let commands = command.get_subcommands();
    commands
        .filter_map(|command| {
            let container = command.get_positionals().find(|positional| {
                let names = positional.get_value_names().unwrap_or_default();
                names.iter().any(|name| name.starts_with("CONTAINER"))
            })?;
            let is_program = container.is_trailing_var_arg_set();
            let several = matches!(container.get_action(), ArgAction::Append) && !is_program;
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
            Some(Taker {
                name: command.get_name().to_owned(),
                takes_several: several,
                switches: switches.collect(),
            })
        })
        .collect()
}

/// How a container is called, by its name where it has one.
const LIST: &str = "ps -a --format '{{or .Names .ID}}' 2>/dev/null";

fn bash(script: String, takers: &[Taker]) -> String {
    let mut cases = String::new();
    for taker in takers {
        // Writing to a string does not fail.
        let _ = writeln!(
            cases,
            "        {}) several={}; switches=\" {} \" ;;",
            taker.name,
            i32::from(taker.takes_several),
            taker.switches.join(" ")
        );
    }
    script.replace("complete -F _hoist ", "complete -F _hoist_with_containers ")
        + &format!(
            r#"
_hoist_with_containers() {{
    _hoist "$@"
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}"
    local command="" several switches name i roots=() names=()
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
{cases}        *) return 0 ;;
    esac
    # Of several letters the last one may have a value.
    [[ "$prev" == -[!-]?* ]] && prev="-${{prev: -1}}"
    [[ "$prev" == -* && "$switches" != *" $prev "* ]] && return 0
    mapfile -t names < <("${{COMP_WORDS[0]}}" "${{roots[@]}}" {LIST})
    if ((! several)); then
        for name in "${{names[@]}}"; do
            [[ " ${{COMP_WORDS[*]:i+1:COMP_CWORD-i-1}} " == *" $name "* ]] && return 0
        done
    fi
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
        let _ = writeln!(
            text,
            "complete -c hoist -n \"__fish_hoist_using_subcommand {}\" -f -a \"(__fish_hoist_containers)\"",
            taker.name
        );
    }
    text
}
