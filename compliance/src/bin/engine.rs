//! Our engine as a process that answers like the oracle of `tests/opa`: one line for each request,
//! one for each answer.

use std::io::{BufRead, Write};

use enforcer_compliance::ours;
use enforcer_compliance::protocol::{Answer, Question};

fn main() -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answer = match serde_json::from_str(&line)
            .map_err(|error| error.to_string())
            .and_then(|request| Question::from_json(&request))
        {
            Ok(question) => ours::answer(&question),
            Err(reason) => Answer::Crashed(reason),
        };
        writeln!(output, "{}", answer.to_json())?;
        output.flush()?;
    }
    Ok(())
}
