//! Values from OPA.

use crate::builtins::tests::agree;

#[test]
fn a_layout_may_be_named_or_be_any_text() {
    agree(&[
        (
            "time.format",
            &[r#"[0, "Europe/Berlin", "UnixDate"]"#],
            r#""Thu Jan  1 01:00:00 CET 1970""#,
        ),
        (
            "time.format",
            &[r#"[1700000000123456789, "Asia/Kolkata", ""]"#],
            r#""2023-11-15T03:43:20.123456789+05:30""#,
        ),
        (
            "time.format",
            &[r#"[1700000000123456789, "", "2006 002 __2 Jan _2 3:04:05.000 pm"]"#],
            r#""2023 318 318 Nov 14 10:13:20.123 pm""#,
        ),
        (
            "time.format",
            &[r#"[1700000000123456789, "UTC", "RFC850"]"#],
            r#""Tuesday, 14-Nov-23 22:13:20 UTC""#,
        ),
        (
            "time.format",
            &[r#"[1700000000120000000, "UTC", ".000000 ,999 06 1 Monday x"]"#],
            r#"".120000 ,12 23 11 Tuesday x""#,
        ),
        ("time.format", &[r#"[-1, "UTC", "RFC3339Nano"]"#], r#""1969-12-31T23:59:59.999999999Z""#),
    ]);
}

#[test]
fn zones_have_their_offsets_and_abbreviations_through_time() {
    agree(&[
        (
            "time.format",
            &[r#"[1743296399000000000, "Europe/Berlin", "15:04 MST"]"#],
            r#""01:59 CET""#,
        ),
        (
            "time.format",
            &[r#"[1743296400000000000, "Europe/Berlin", "15:04 MST"]"#],
            r#""03:00 CEST""#,
        ),
        (
            "time.format",
            &[r#"[4102444800000000000, "America/New_York", "2006-01-02 MST -0700"]"#],
            r#""2099-12-31 EST -0500""#,
        ),
        (
            "time.format",
            &[r#"[-5000000000000000000, "Europe/Berlin", "MST -07:00:00"]"#],
            r#""LMT +00:53:28""#,
        ),
        (
            "time.format",
            &[r#"[9000000000000000000, "Australia/Sydney", "2006-01-02 MST Z07:00"]"#],
            r#""2255-03-15 AEDT +11:00""#,
        ),
        ("time.format", &[r#"[1700000000000000000, "America/Sao_Paulo", "MST"]"#], r#""-03""#),
        ("time.format", &[r#"[1752580800000000000, "Australia/Lord_Howe", "MST"]"#], r#""+1030""#),
        ("time.format", &[r#"[0, "Africa/Monrovia", "MST -070000"]"#], r#""MMT -004430""#),
    ]);
}

#[test]
fn the_host_has_no_zone_but_utc() {
    agree(&[
        (
            "time.format",
            &[r#"[1700000000123456789, "Local", "RFC1123"]"#],
            r#""Tue, 14 Nov 2023 22:13:20 UTC""#,
        ),
        ("time.clock", &[r#"[0, "Local"]"#], "[0, 0, 0]"),
        ("time.clock", &[r#"[0, "Nowhere"]"#], "error: unknown time zone Nowhere"),
        ("time.clock", &[r#"[0, "../x"]"#], "error: time: invalid location name"),
        ("time.clock", &[r#"[0, "/etc/localtime"]"#], "error: time: invalid location name"),
        ("time.clock", &[r#"[0, "europe/berlin"]"#], "error: unknown time zone europe/berlin"),
    ]);
}

#[test]
fn a_moment_is_a_whole_number_of_nanoseconds() {
    agree(&[
        ("time.format", &["[1.5]"], "error: timestamp too big"),
        ("time.format", &["[9223372036854775807]"], r#""2262-04-11T23:47:16.854775807Z""#),
        ("time.format", &["[9223372036854775808]"], "error: timestamp too big"),
        ("time.weekday", &[r#"[-1, "Asia/Tokyo"]"#], r#""Thursday""#),
        ("time.date", &["[-1]"], "[1969, 12, 31]"),
        ("time.date", &["0"], "[1970, 1, 1]"),
    ]);
}

#[test]
fn texts_are_parsed_by_go_s_rules() {
    agree(&[
        (
            "time.parse_ns",
            &[r#""RFC3339""#, r#""2020-01-01t00:00:00Z""#],
            r#"error: parsing time "2020-01-01t00:00:00Z" as "2006-01-02T15:04:05Z07:00": cannot parse "t00:00:00Z" as "T""#,
        ),
        (
            "time.parse_ns",
            &[r#""2006-01-02""#, r#""2021-02-29""#],
            r#"error: parsing time "2021-02-29": day out of range"#,
        ),
        ("time.parse_ns", &[r#""2006-002""#, r#""2020-060""#], "1582934400000000000"),
        (
            "time.parse_ns",
            &[r#""2006-01-02T15:04:05Z07:00""#, r#""2020-01-01T00:00:00,5+24:00""#],
            "1577750400500000000",
        ),
        (
            "time.parse_ns",
            &[r#""Monday""#, r#""Funday""#],
            r#"error: parsing time "Funday" as "Monday": cannot parse "Funday" as "Monday""#,
        ),
        (
            "time.parse_ns",
            &[r#""2006""#, r#""99999""#],
            r#"error: parsing time "99999": extra text: "9""#,
        ),
        ("time.parse_ns", &[r#""06""#, r#""69""#], "-31536000000000000"),
        (
            "time.parse_ns",
            &[r#""Jan 2 2006 3:04PM""#, r#""FEB 3 2020 12:30AM""#],
            "1580689800000000000",
        ),
        (
            "time.parse_ns",
            &[r#""2006-01-02 15""#, r#""2020-01-01 24""#],
            r#"error: parsing time "2020-01-01 24": hour out of range"#,
        ),
        (
            "time.parse_ns",
            &[r#""2006 002""#, r#""2021 366""#],
            r#"error: parsing time "2021 366": day-of-year out of range"#,
        ),
        (
            "time.parse_ns",
            &[r#""2006-01-02 -0700""#, r#""2020-01-01 +2500""#],
            r#"error: parsing time "2020-01-01 +2500": time zone offset hour out of range"#,
        ),
    ]);
}

#[test]
fn an_abbreviation_moves_no_time() {
    agree(&[
        (
            "time.parse_ns",
            &[r#""2006-01-02 15:04 MST""#, r#""2020-01-01 00:00 EST""#],
            "1577836800000000000",
        ),
        (
            "time.parse_ns",
            &[r#""2006-01-02 15:04 MST""#, r#""2020-01-01 00:00 UTC""#],
            "1577836800000000000",
        ),
        (
            "time.parse_ns",
            &[r#""2006-01-02 15:04 MST""#, r#""2020-01-01 00:00 GMT+3""#],
            "1577836800000000000",
        ),
        (
            "time.parse_ns",
            &[r#""2006-01-02 15:04 MST""#, r#""2020-01-01 00:00 EASTERN""#],
            r#"error: parsing time "2020-01-01 00:00 EASTERN" as "2006-01-02 15:04 MST": cannot parse "EASTERN" as "MST""#,
        ),
    ]);
}

#[test]
fn a_time_of_rfc_3339_is_written_exactly() {
    agree(&[
        (
            "time.parse_rfc3339_ns",
            &[r#""2020-01-01 00:00:00Z""#],
            r#"error: parsing time "2020-01-01 00:00:00Z" as "2006-01-02T15:04:05Z07:00": cannot parse " 00:00:00Z" as "T""#,
        ),
        (
            "time.parse_rfc3339_ns",
            &[r#""2020-01-01T00:00:60Z""#],
            r#"error: parsing time "2020-01-01T00:00:60Z": second out of range"#,
        ),
        ("time.parse_rfc3339_ns", &[r#""2262-04-11T23:47:16.854775807Z""#], "9223372036854775807"),
        (
            "time.parse_rfc3339_ns",
            &[r#""2262-04-11T23:47:16.854775808Z""#],
            "error: time outside of valid range",
        ),
        ("time.parse_rfc3339_ns", &[r#""2020-06-30T23:59:59.9+01:00""#], "1593557999900000000"),
        ("time.parse_rfc3339_ns", &[r#""1677-09-21T00:12:43.145224192Z""#], "-9223372036854775808"),
        (
            "time.parse_rfc3339_ns",
            &[r#""""#],
            r#"error: parsing time "" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006""#,
        ),
    ]);
}

#[test]
fn durations_have_days_weeks_and_years_too() {
    agree(&[
        ("time.parse_duration_ns", &[r#""1d12h""#], "129600000000000"),
        ("time.parse_duration_ns", &[r#""1.5w""#], "907200000000000"),
        ("time.parse_duration_ns", &[r#""-1h""#], "-3600000000000"),
        ("time.parse_duration_ns", &[r#""1y""#], "31536000000000000"),
        ("time.parse_duration_ns", &[r#""106752d""#], r#"error: time: invalid duration "106752d""#),
        (
            "time.parse_duration_ns",
            &[r#""1x""#],
            r#"error: time: unknown unit "x" in duration "1x""#,
        ),
        (
            "time.parse_duration_ns",
            &[r#""9223372036854775808ns""#],
            r#"error: time: invalid duration "9223372036854775808ns""#,
        ),
        ("time.parse_duration_ns", &[r#""-9223372036854775808ns""#], "-9223372036854775808"),
        ("time.parse_duration_ns", &[r#""1µs""#], "1000"),
        ("time.parse_duration_ns", &[r#""""#], r#"error: time: invalid duration """#),
        ("time.parse_duration_ns", &[r#""0""#], "0"),
        ("time.parse_duration_ns", &[r#""1""#], r#"error: time: missing unit in duration "1""#),
        ("time.parse_duration_ns", &[r#""1d-1h""#], r#"error: time: invalid duration "1d-1h""#),
        ("time.parse_duration_ns", &[r#"".5s""#], "500000000"),
    ]);
}

#[test]
fn dates_that_are_not_there_are_later_ones() {
    agree(&[
        ("time.add_date", &["1709164800000000000", "1", "0", "0"], "1740787200000000000"),
        ("time.add_date", &["1709164800000000000", "0", "0", "-60"], "1703980800000000000"),
        ("time.add_date", &["1706659200000000000", "0", "1", "0"], "1709337600000000000"),
        ("time.add_date", &["0", "292277022399", "0", "0"], "error: time outside of valid range"),
        ("time.add_date", &["0", "300", "0", "0"], "error: time outside of valid range"),
        (
            "time.add_date",
            &["0", "-9223372036854775808", "9223372036854775807", "1"],
            "-2553984000000000",
        ),
    ]);
}

#[test]
fn a_day_in_a_zone_may_be_shorter_or_longer() {
    agree(&[
        (
            "time.add_date",
            &[r#"[1743206400000000000, "Europe/Berlin"]"#, "0", "0", "1"],
            "1743292800000000000",
        ),
        (
            "time.add_date",
            &[r#"[1743211800000000000, "Europe/Berlin"]"#, "0", "0", "1"],
            "1743298200000000000",
        ),
        (
            "time.add_date",
            &[r#"[1729905000000000000, "Europe/Berlin"]"#, "0", "0", "1"],
            "1729995000000000000",
        ),
        (
            "time.diff",
            &[
                r#"[1730005200000000000, "Europe/Berlin"]"#,
                r#"[1729980000000000000, "Europe/Berlin"]"#,
            ],
            "[0, 0, 0, 6, 0, 0]",
        ),
        ("time.diff", &["0", "1709164800000000000"], "[54, 1, 28, 0, 0, 0]"),
    ]);
}
