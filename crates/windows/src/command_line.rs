//! Command lines: Windows gives a process one text, which its run-time library takes apart.

/// Joins arguments to a command line from which `CommandLineToArgvW` gets the same arguments back.
pub fn join<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (place, argument) in arguments.into_iter().enumerate() {
        if place > 0 {
            line.push(' ');
        }
        quote_onto(&mut line, argument);
    }
    line
}

/// One argument, quoted where that is needed.
///
/// An empty one, and one with a space or tab, is put between quotation marks; a quotation mark gets a backslash before
/// it, and so does every backslash that stands directly before one.
fn quote_onto(line: &mut String, argument: &str) {
    let marks = argument.is_empty() || argument.contains([' ', '\t']);
    if marks {
        line.push('"');
    }
    let mut backslashes = 0;
    for character in argument.chars() {
        match character {
            '\\' => backslashes += 1,
            '"' => {
                line.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        line.push(character);
    }
    if marks {
        line.extend(std::iter::repeat_n('\\', backslashes));
        line.push('"');
    }
}

/// Takes a command line apart as `CommandLineToArgvW` and the C run-time library do.
pub fn split(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut characters = line.chars().peekable();
    loop {
        while characters
            .next_if(|next| matches!(next, ' ' | '\t'))
            .is_some()
        {}
        if characters.peek().is_none() {
            return arguments;
        }
        let mut argument = String::new();
        let mut quoted = false;
        while let Some(character) = characters.next() {
            match character {
                ' ' | '\t' if !quoted => break,
                '"' if quoted && characters.next_if_eq(&'"').is_some() => argument.push('"'),
                '"' => quoted = !quoted,
                '\\' => {
                    let mut backslashes = 1;
                    while characters.next_if_eq(&'\\').is_some() {
                        backslashes += 1;
                    }
                    let before_mark = characters.peek() == Some(&'"');
                    let kept = if before_mark {
                        backslashes / 2
                    } else {
                        backslashes
                    };
                    argument.extend(std::iter::repeat_n('\\', kept));
                    if before_mark && backslashes % 2 == 1 {
                        argument.extend(characters.next());
                    }
                }
                character => argument.push(character),
            }
        }
        arguments.push(argument);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arguments_are_quoted_as_the_reference_shows() {
        for (argument, quoted) in [
            ("", r#""""#),
            ("abc", "abc"),
            ("a b", r#""a b""#),
            (r#"say "hi""#, r#""say \"hi\"""#),
            (r"C:\dir\", r"C:\dir\"),
            (r"C:\my dir\", r#""C:\my dir\\""#),
            (r#"a\"b"#, r#"a\\\"b"#),
            (r#"a"b"#, r#"a\"b"#),
            ("a&b|c^%d%", "a&b|c^%d%"),
        ] {
            assert_eq!(join([argument]), quoted);
        }
        assert_eq!(join(["x", "", "y z"]), r#"x "" "y z""#);
    }

    proptest! {
        #[test]
        fn a_process_gets_the_arguments_that_were_given(
            arguments in prop::collection::vec("[a-z \\\\\"\t&^%<>|ž]{0,8}", 1..6)
        ) {
            let line = join(arguments.iter().map(String::as_str));
            prop_assert_eq!(split(&line), arguments);
        }
    }
}
