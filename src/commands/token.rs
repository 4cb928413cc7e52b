//! `token new`: makes a bearer token, and prints the lines for the configuration file.

use std::io::Write;

use clap::ArgMatches;
use enforcer_supervisor::NewToken;

use super::Verdict;
use crate::failure::Failure;

/// Makes a token.
///
/// # Errors
/// When the system has no random bytes, or standard output cannot be written to.
pub(crate) fn token(arguments: &ArgMatches) -> Result<Verdict, Failure> {
    let made = NewToken::generate()?;
    let text = |name: &str| arguments.get_one::<String>(name).cloned().unwrap_or_default();
    let list = |name: &str| -> String {
        let values = arguments.get_many::<String>(name).into_iter().flatten();
        values.map(|value| quoted(value)).collect::<Vec<_>>().join(", ")
    };
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}\n", made.token())?;
    writeln!(output, "# For the configuration file. The token above is shown only now.")?;
    writeln!(output, "[[credentials.token]]")?;
    writeln!(output, "name = {}", quoted(&text("name")))?;
    writeln!(output, "sha256 = {:?}", made.sha256())?;
    writeln!(output, "roles = [{}]", list("role"))?;
    writeln!(output, "tenants = [{}]", list("tenant"))?;
    if let Some(expires) = arguments.get_one::<String>("expires") {
        writeln!(output, "expires = {expires}")?;
    }
    Ok(Verdict::Positive)
}

/// A text as TOML has it, which JSON's texts are too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
