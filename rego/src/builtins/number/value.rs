//! Numbers as values.

use num_bigint::BigInt;
use num_traits::ToPrimitive as _;
use regorus::Value;

/// The value of an integer.
pub(crate) fn integer(i: BigInt) -> Value {
    match i.to_i64() {
        Some(small) => Value::from(small),
        None => Value::Number(i.into()),
    }
}
