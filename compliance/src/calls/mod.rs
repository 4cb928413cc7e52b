//! Calls of built-ins: generated calls, the answers of our functions and of OPA's, and their
//! comparison.

mod documented;
mod generate;
mod recorded;
mod value;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use enforcer_rego::Value;
use enforcer_rego::builtins::table::{Declaration, declaration, is_refused};
use enforcer_rego::builtins::{Answer, Context, Failure, function};
use serde_json::{Value as Json, json};

pub use documented::Documented;
pub use generate::Generator;
pub use recorded::Recorded;

/// The time of every evaluation: the recorded certificates are valid then.
const NOW_NS: i64 = 1_800_000_000_123_456_789;

/// The deadline of one of our functions.
const PATIENCE: Duration = Duration::from_secs(5);

/// Names that are declared without a function, in OPA as here: the compiler rewrites their calls.
const REWRITTEN: [&str; 3] = ["assign", "eq", "print"];

/// Whether a built-in is compared: all except those without a function and those that no policy may
/// call.
#[must_use]
pub fn is_compared(declaration: &Declaration) -> bool {
    let name = declaration.name;
    !REWRITTEN.contains(&name) && !is_refused(name)
}

/// A call of a built-in on values.
pub struct Call {
    /// The name of the built-in.
    pub declaration: &'static Declaration,
    /// Its arguments.
    pub args: Vec<Value>,
}

impl Call {
    /// A call as the oracle takes it: `name` and `values`.
    ///
    /// # Errors
    /// The fault in it.
    pub fn of(json: &Json) -> Result<Self, &'static str> {
        let name = json.get("name").and_then(Json::as_str).ok_or("no name")?;
        let declaration = declaration(name).ok_or("no such built-in")?;
        let values = json.get("values").and_then(Json::as_array).ok_or("no values")?;
        let args = value::decode_all(values).ok_or("a value of an unknown form")?;
        Ok(Self { declaration, args })
    }

    /// The question for the oracle.
    #[must_use]
    pub fn request(&self) -> Json {
        let values: Vec<_> = self.args.iter().map(value::encode).collect();
        json!({"op": "builtin", "name": self.declaration.name, "values": values, "time": NOW_NS})
    }

    /// Our answer; nothing where the function panics.
    #[must_use]
    pub fn ours(&self) -> Option<Answer> {
        let function = function(self.declaration.name)?;
        catch_unwind(AssertUnwindSafe(|| function(&mut context(), &self.args))).ok()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args: Vec<_> = self.args.iter().map(|arg| value::encode(arg).to_string()).collect();
        write!(formatter, "{}({})", self.declaration.name, args.join(", "))
    }
}

/// The context of an evaluation.
fn context() -> Context {
    Context::new(NOW_NS, Instant::now() + PATIENCE)
}

/// How an answer compares with OPA's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The same value, or no value.
    Equal,
    /// Both fail; codes or messages differ.
    OtherError,
    /// A different value, or only one has a value; or OPA's error ends the evaluation, and ours
    /// does not.
    Different,
}

/// Compares our answer to a call with OPA's.
#[must_use]
pub fn compare(call: &Call, ours: Option<&Answer>, theirs: &Json) -> Verdict {
    let results = theirs.get("results").and_then(Json::as_array);
    let error = theirs.get("error").filter(|error| code(error) != "panic");
    let name = call.declaration.name;
    let same = match (ours, results, error) {
        (Some(Ok(Value::Undefined)), None, None) => theirs.get("error").is_none(),
        (Some(Ok(ours)), Some(results), None) if call.declaration.relation => {
            Some(ours) == value::decode_all(results).map(Value::from).as_ref()
        }
        (Some(Ok(ours)), Some(results), None) => {
            let theirs = results.first().and_then(value::decode);
            theirs.is_some_and(|theirs| is_same(name, &value::as_json(ours), &theirs))
        }
        (Some(Err(_) | Ok(Value::Undefined)), None, Some(error)) => {
            let is_lenient = ["eval_builtin_error", "eval_type_error"].contains(&code(error));
            let Some(Err(failure)) = ours else {
                return if is_lenient { Verdict::OtherError } else { Verdict::Different };
            };
            if !is_lenient && matches!(failure, Failure::Builtin(_) | Failure::Type(_)) {
                return Verdict::Different;
            }
            let message = error.get("message").and_then(Json::as_str).unwrap_or_default();
            let is_same = (code(error), message) == failed(name, failure).as_words();
            return if is_same { Verdict::Equal } else { Verdict::OtherError };
        }
        (Some(Err(_)), None, None) if theirs.get("error").is_none() => {
            return Verdict::OtherError;
        }
        _ => false,
    };
    if same { Verdict::Equal } else { Verdict::Different }
}

fn code(error: &Json) -> &str {
    error.get("code").and_then(Json::as_str).unwrap_or_default()
}

/// An error as OPA writes it.
struct Words(&'static str, String);

impl Words {
    fn as_words(&self) -> (&str, &str) {
        (self.0, &self.1)
    }
}

fn failed(name: &str, failure: &Failure) -> Words {
    match failure {
        Failure::Builtin(_) => Words("eval_builtin_error", format!("{name}: {failure}")),
        Failure::Type(_) => Words("eval_type_error", format!("{name}: {failure}")),
        Failure::Conflict(_) => Words("eval_conflict_error", failure.to_string()),
        Failure::Halt(_) => Words("eval_internal_error", failure.to_string()),
    }
}

/// Whether values are the same, as far as OPA's are deterministic.
fn is_same(name: &str, ours: &Value, theirs: &Value) -> bool {
    match (name, ours, theirs) {
        _ if ours == theirs => true,
        // OPA finds the problems of an object's values in any order.
        ("json.match_schema", ours, theirs) => sorted(ours) == sorted(theirs),
        ("rand.intn", Value::Number(_), Value::Number(_)) => true,
        ("uuid.rfc4122", Value::String(ours), Value::String(theirs)) => ours.len() == theirs.len(),
        // A signature of ECDSA or RSA-PSS is different each time.
        (
            "io.jwt.encode_sign" | "io.jwt.encode_sign_raw",
            Value::String(ours),
            Value::String(theirs),
        ) => {
            let signed = |token: &str| token.rsplit_once('.').map(|(signed, _)| signed.to_owned());
            let is_random = ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];
            signed(ours) == signed(theirs)
                && ours.len() == theirs.len()
                && is_random.iter().any(|algorithm| header(ours).contains(algorithm))
        }
        _ => false,
    }
}

/// The header of a token, decoded.
fn header(token: &str) -> String {
    let encoded = token.split('.').next().unwrap_or_default();
    let decoded = function("base64url.decode")
        .and_then(|decode| decode(&mut context(), &[Value::from(encoded)]).ok());
    decoded.map(|text| text.to_string()).unwrap_or_default()
}

/// With the elements of arrays in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(elements) => {
            let mut elements: Vec<Value> = elements.iter().map(sorted).collect();
            elements.sort();
            Value::from(elements)
        }
        other => other.clone(),
    }
}

/// Our answer as text.
#[must_use]
pub fn words(ours: Option<&Answer>) -> String {
    match ours {
        None => "panic".to_owned(),
        Some(Ok(Value::Undefined)) => "undefined".to_owned(),
        Some(Ok(result)) => value::encode(result).to_string(),
        Some(Err(failure)) => format!("{failure:?}"),
    }
}
