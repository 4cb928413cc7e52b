//! Days of the Gregorian calendar, in years that begin in March.

/// Days from 1970 to a date.
pub(crate) fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + of_year - 719_468
}

/// The year, month and day of a number of days since 1970.
pub(crate) fn date(day_number: i64) -> [i64; 3] {
    let days = day_number + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    [year_of_era + era * 400 + i64::from(month <= 2), month, day]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_numbers_of_days_belong_together() {
        let known = [([1970, 1, 1], 0), ([2000, 2, 29], 11_016), ([1900, 3, 1], -25_508)];
        for ([year, month, day], number) in known {
            assert_eq!(day_number(year, month, day), number);
        }
        for number in (-200_000..200_000).step_by(17) {
            let [year, month, day] = date(number);
            assert_eq!(day_number(year, month, day), number);
        }
    }
}
