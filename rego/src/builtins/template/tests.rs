//! Values from OPA.

use crate::builtins::tests::agree;

#[test]
fn values_are_written_as_go_prints_them() {
    agree(&[
        (
            "strings.render_template",
            &[
                r#""{{.a}} {{.b}} {{.c}} {{.d}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""1 x<y> [1 two <nil>] map[e:map[f:deep]]""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{.missing}} {{.missing.x}} {{.n}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""<undefined> <undefined> <undefined>""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{.n.x}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"error: template: template:1:4: executing "template" at <.n.x>: nil pointer evaluating interface {}.x"#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{.a.b}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"error: template: template:1:4: executing "template" at <.a.b>: can't evaluate field b in type interface {}"#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{.}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""map[a:1 b:x<y> c:[1 two <nil>] d:map[e:map[f:deep]] n:<nil>]""#,
        ),
    ]);
}

#[test]
fn actions_choose_and_repeat() {
    agree(&[
        (
            "strings.render_template",
            &[
                r#""{{if .a}}y{{else}}n{{end}}{{if .n}}y{{else if .b}}b{{end}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""yb""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{range $i, $x := .c}}{{$i}}={{$x}};{{else}}none{{end}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""0=1;1=two;2=<undefined>;""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{range 5}}{{if eq . 1}}{{continue}}{{end}}{{if eq . 3}}{{break}}{{end}}{{.}}{{end}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""02""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{with .d}}{{.e.f}}{{$.a}}{{end}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""deep1""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{$x := 1}}{{range .c}}{{$x = .}}{{end}}{{$x}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""<undefined>""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{range $k, $v := .d}}{{$k}}{{$v}}{{end}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""emap[f:deep]""#,
        ),
    ]);
}

#[test]
fn space_and_comments_go_where_it_is_said() {
    agree(&[
        (
            "strings.render_template",
            &[
                r#"" a {{- .a -}} b {{/* c */}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"" a1b ""#,
        ),
        (
            "strings.render_template",
            &[
                r#""x {{- /* c */ -}} y""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""xy""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{\"}}\"}}{{`{{`}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""}}{{""#,
        ),
    ]);
}

#[test]
fn functions_are_go_s_own() {
    agree(&[
        (
            "strings.render_template",
            &[
                r#""{{len .c}} {{index .c 1}} {{index .d \"e\" \"f\"}} {{slice .b 0 2}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""3 two deep x<""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{printf \"%v|%q|%d|%T\" .a .b 3 .a}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""1|\"x<y>\"|3|json.Number""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{.b | printf \"%s!\" | len}} {{html .b}} {{js .b}} {{urlquery .b}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""5 x&lt;y&gt; x\\u003Cy\\u003E x%3Cy%3E""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{eq .b \"x<y>\" }} {{ne 1 2}} {{lt 1 2}} {{le 1.5 1.5}} {{gt \"b\" \"a\"}} {{ge 1 2}} {{and 1 0}} {{or 0 \"x\"}} {{not .n}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""true true true true true false 0 x true""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{print .a .b 1 2}}{{println 1 \"x\"}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""1x<y>1 21 x\n""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{0x10}} {{'a'}} {{1e3}} {{1_000}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""16 97 1000 1000""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{eq .a 1}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"error: template: template:1:2: executing "template" at <eq .a 1>: error calling eq: incompatible types for comparison: json.Number and int"#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{index .c 9}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"error: template: template:1:2: executing "template" at <index .c 9>: error calling index: index out of range: 9"#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{len 3}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"error: template: template:1:2: executing "template" at <len 3>: error calling len: len of type int"#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{env \"HOME\"}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"error: template: template:1: function "env" not defined"#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{call .a}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"error: template: template:1:2: executing "template" at <call .a>: error calling call: non-function .a of type json.Number"#,
        ),
    ]);
}

#[test]
fn templates_may_define_others() {
    agree(&[
        (
            "strings.render_template",
            &[
                r#""{{define \"T\"}}<{{.}}>{{end}}{{template \"T\" .a}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""<1>""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{block \"B\" .b}}[{{.}}]{{end}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#""[x<y>]""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{template \"none\"}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"error: template: template:1:11: executing "template" at <{{template "none"}}>: template "none" not defined"#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{define \"T\"}}a{{end}}{{define \"T\"}}b{{end}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"error: template: template:1: template: multiple definition of template "T""#,
        ),
    ]);
}

#[test]
fn what_is_no_template_is_refused() {
    agree(&[
        (
            "strings.render_template",
            &[
                r#""{{""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            "error: template: template:1: unclosed action",
        ),
        (
            "strings.render_template",
            &[
                r#""{{.a""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            "error: template: template:1: unclosed action",
        ),
        (
            "strings.render_template",
            &[
                r#""{{end}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            "error: template: template:1: unexpected {{end}}",
        ),
        (
            "strings.render_template",
            &[
                r#""{{if}}x{{end}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            "error: template: template:1: missing value for if",
        ),
        (
            "strings.render_template",
            &[
                r#""{{if .a}}x""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            "error: template: template:1: unexpected EOF",
        ),
        (
            "strings.render_template",
            &[
                r#""{{$u}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"error: template: template:1: undefined variable "$u""#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{break}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            "error: template: template:1: {{break}} outside {{range}}",
        ),
        (
            "strings.render_template",
            &[
                r#""{{\"x}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            "error: template: template:1: unterminated quoted string",
        ),
        (
            "strings.render_template",
            &[
                r#""{{1 | 2}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            "error: template: template:1: non executable command in pipeline stage 2",
        ),
        (
            "strings.render_template",
            &[
                r#""{{nil}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"error: template: template:1:2: executing "template" at <nil>: nil is not a command"#,
        ),
        (
            "strings.render_template",
            &[
                r#""{{.a .b}}""#,
                r#"{"a": 1, "b": "x<y>", "c": [1, "two", null], "d": {"e": {"f": "deep"}}, "n": null}"#,
            ],
            r#"error: template: template:1:2: executing "template" at <.a>: a is not a method but has arguments"#,
        ),
    ]);
}

#[test]
fn a_template_that_does_not_end_is_a_limit() {
    use crate::builtins::Failure;
    use crate::builtins::tests::call;
    for template in [
        r#"{{define \"T\"}}{{template \"T\"}}{{end}}{{template \"T\"}}"#,
        r#"{{range 100000000}}{{range 1000}}0123456789{{end}}{{end}}"#,
    ] {
        let answer = call("strings.render_template", &[&format!("\"{template}\""), "{}"]);
        assert!(matches!(answer, Err(Failure::Halt(_))), "{template}");
    }
    let deep = format!("\"{}{}\"", "{{if 1}}".repeat(5_000), "{{end}}".repeat(5_000));
    let answer = call("strings.render_template", &[&deep, "{}"]);
    assert!(matches!(answer, Err(Failure::Halt(_))));
}
