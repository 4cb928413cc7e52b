//! Random modules of small statements over few names, so that names meet: variables shadow rules,
//! imports and built-ins, are declared twice, used before, never, or in closures.

use crate::Files;
use crate::mutate::Random;

/// The nesting depth of terms and bodies.
const DEPTH: usize = 3;

struct Generator<'a> {
    random: &'a mut Random,
    text: String,
    has_logic: bool,
    imports_input: bool,
    /// Whether every declaration is of a new name, so that most modules are accepted.
    calm: bool,
    fresh: usize,
    /// The variables that are declared here, by number.
    scope: Vec<usize>,
    /// The variables that the current statement declares.
    pending: Vec<usize>,
}

/// One or two modules.
pub(crate) fn modules(random: &mut Random) -> Files {
    let count = 1 + random.below(5) / 4;
    let calm = random.below(2) == 0;
    (0..count)
        .map(|number| {
            let mut generator = Generator {
                random: &mut *random,
                text: String::new(),
                has_logic: false,
                imports_input: false,
                calm,
                fresh: 0,
                scope: Vec::new(),
                pending: Vec::new(),
            };
            generator.module();
            (format!("m{number}.rego"), generator.text)
        })
        .collect()
}

impl Generator<'_> {
    fn chance(&mut self, of: usize) -> bool {
        self.random.below(of) == 0
    }

    fn pick(&mut self, choices: &[&str]) {
        let choice = choices.get(self.random.below(choices.len()));
        self.text.push_str(choice.copied().unwrap_or_default());
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn module(&mut self) {
        self.pick(&["package a\n", "package a\n", "package a.b\n", "package b\n"]);
        if self.chance(2) {
            self.pick(&[
                "import future.keywords.not\n",
                "import future.keywords.and\nimport future.keywords.or\n",
            ]);
        }
        self.imports_input = self.chance(4);
        while self.chance(3) {
            if self.imports_input {
                self.pick(&["import input.x\n", "import input.x as y\n", "import input as z\n"]);
            } else {
                self.pick(&[
                    "import data.b\n",
                    "import data.a.p\n",
                    "import data.b.q as x\n",
                    "import data.a as p\n",
                    "import rego.v1\n",
                ]);
            }
        }
        for _ in 0..=self.random.below(4) {
            self.rule();
            self.put("\n");
        }
    }

    fn rule(&mut self) {
        self.scope.clear();
        self.pending.clear();
        let kind = self.random.below(12);
        match kind {
            0 => {
                self.put("default ");
                self.pick(&["p", "q", "f(_)", "f(_, _)", "x", "r"]);
                self.put(" := ");
                self.pick(&["1", "[]", "{x | x := 1}", "{\"a\": null}"]);
                return;
            }
            1 | 2 => {
                self.pick(&["p", "q", "x", "r"]);
                self.put(" contains ");
                self.term(1);
            }
            3 => {
                self.pick(&["p", "q"]);
                self.put("[");
                self.term(1);
                self.put("] := ");
                self.term(1);
            }
            4 => {
                self.pick(&["p", "q", "r"]);
                self.put(".");
                self.pick(&["a", "b", "c"]);
                self.put("[");
                self.var();
                self.put("]");
                if self.chance(2) {
                    self.put(".d");
                }
                self.pick(&[" := ", " contains ", " = "]);
                self.term(1);
            }
            5..=7 => {
                self.pick(&["f", "g", "count"]);
                self.put("(");
                for number in 0..=self.random.below(2) {
                    if number > 0 {
                        self.put(", ");
                    }
                    self.parameter();
                }
                self.put(")");
                self.commit();
                if self.chance(2) {
                    self.put(" := ");
                    self.term(1);
                }
            }
            _ => {
                self.pick(&["p", "q", "r", "x"]);
                if !self.calm && self.chance(20) {
                    self.put("input");
                }
                if self.chance(2) {
                    self.put(" := ");
                    self.term(1);
                }
            }
        }
        self.put(" if {\n");
        self.commit();
        self.statements(DEPTH);
        self.put("}");
        while kind > 4 && self.chance(6) {
            self.put(" else := ");
            self.term(1);
            self.put(" if {\n");
            self.statements(1);
            self.put("}");
        }
        self.put("\n");
    }

    /// The statements of a closure.
    fn closure(&mut self, depth: usize) {
        let pending = std::mem::take(&mut self.pending);
        let outer = self.scope.len();
        self.statements(depth);
        self.scope.truncate(outer);
        self.pending = pending;
    }

    fn statements(&mut self, depth: usize) {
        for _ in 0..=self.random.below(4) {
            self.statement(depth);
            self.put("\n");
            self.commit();
        }
    }

    fn commit(&mut self) {
        self.scope.append(&mut self.pending);
    }

    fn statement(&mut self, depth: usize) {
        let before = self.fresh;
        let kind = self.random.below(20);
        match kind {
            0..=4 => {
                self.pattern(1);
                self.put(" := ");
                self.term(depth);
            }
            5 | 6 => {
                self.term(1);
                self.put(" = ");
                self.term(depth);
            }
            7 => {
                self.put("some ");
                self.local();
                if self.chance(2) {
                    self.put(", ");
                    self.local();
                }
                self.put("\n");
                self.use_since(before);
                return;
            }
            8 | 9 => {
                self.put("some ");
                if self.chance(2) {
                    self.pattern(1);
                    self.put(", ");
                }
                self.pattern(1);
                self.put(" in ");
                self.term(1);
            }
            10 | 11 if depth > 0 => {
                self.put("every ");
                if self.chance(2) {
                    self.local();
                    self.put(", ");
                }
                self.local();
                self.put(" in ");
                self.term(1);
                self.put(" {\n");
                let outer = self.scope.len();
                self.commit();
                self.use_since(before);
                self.statements(depth - 1);
                self.put("}");
                self.scope.truncate(outer);
            }
            12 => {
                self.put("not ");
                self.term(depth);
            }
            13 if depth > 0 && self.has_logic => {
                self.put("not {\n");
                self.closure(depth - 1);
                self.put("}");
            }
            14 if depth > 0 && self.has_logic => {
                self.put("{\n");
                self.closure(depth - 1);
                self.put("}");
                self.pick(&[" and ", " or "]);
                self.term(1);
            }
            15 if self.has_logic => {
                self.term(1);
                self.pick(&[" and ", " or "]);
                self.term(1);
            }
            16 => {
                self.put("print(");
                self.term(depth);
                if self.chance(2) {
                    self.put(", ");
                    self.term(depth);
                }
                self.put(")");
            }
            17 if self.calm => {
                self.pick(&["startswith(", "contains(", "regex.match("]);
                self.put("\"a\", ");
                self.term(1);
                self.put(")");
            }
            17 => {
                self.pick(&["walk", "f", "g", "count", "plus", "data.a.f", "x"]);
                self.put("(");
                self.term(1);
                self.put(", ");
                self.term(1);
                self.put(")");
            }
            _ => self.term(depth),
        }
        if self.chance(8) {
            self.put(" with ");
            self.pick(&["input", "input.x", "data.a.p", "data.b", "count", "f", "x", "data.a.f"]);
            self.put(" as ");
            self.term(1);
        }
        if matches!(kind, 8 | 9) {
            self.put("\n");
            self.use_since(before);
        }
    }

    fn var(&mut self) {
        if self.calm {
            match self.random.below(8) {
                0 => self.pick(&["x", "p", "q", "input", "r"]),
                1 => self.pick(&["1", "\"a\"", "input.y", "_"]),
                _ => {
                    let number = self.scope.get(self.random.below(self.scope.len())).copied();
                    let name =
                        number.map_or_else(|| "input.z".into(), |number| format!("v{number}"));
                    self.put(&name);
                }
            }
            return;
        }
        self.pick(&["x", "y", "z", "w", "_", "p", "q", "input", "count", "k", "x", "y"]);
    }

    /// No `input` where an import begins with it: OPA renames what all uses of an import share then.
    fn new_var(&mut self) {
        if self.calm {
            self.fresh_var();
            return;
        }
        if self.imports_input {
            self.pick(&["x", "y", "z", "w", "_", "p", "q", "count", "k"]);
        } else {
            self.var();
        }
    }

    /// No reference to `data`: OPA renames the `data` that all policies of its process share then.
    fn parameter(&mut self) {
        match self.random.below(8) {
            _ if self.calm => self.fresh_var(),
            0 => self.pick(&["[x, y]", "[x, _]", "{\"a\": x}", "[[y], 1]", "{\"k\": [x, z]}"]),
            1 => self.pick(&["1", "\"a\"", "true", "[]", "[x | x := 1]", "{x, y}", "f(x)"]),
            _ => self.new_var(),
        }
    }

    fn fresh_var(&mut self) {
        let name = format!("v{}", self.fresh);
        self.pending.push(self.fresh);
        self.fresh += 1;
        self.put(&name);
    }

    /// Uses the variables that were made since, so that they are not refused as unused.
    fn use_since(&mut self, before: usize) {
        if self.calm && self.fresh > before {
            let names: Vec<_> = (before..self.fresh).map(|number| format!("v{number}")).collect();
            self.put(&format!("[{}] != 7\n", names.join(", ")));
        }
    }

    fn local(&mut self) {
        if self.calm {
            self.fresh_var();
            return;
        }
        self.pick(&["x", "y", "z", "w", "p", "q", "count", "k"]);
    }

    fn pattern(&mut self, depth: usize) {
        match self.random.below(10) {
            0 if depth > 0 => {
                self.put("[");
                self.pattern(depth - 1);
                self.put(", ");
                self.pattern(depth - 1);
                self.put("]");
            }
            1 if depth > 0 => {
                self.pick(&["{\"a\": ", "{x: ", "{1: "]);
                self.pattern(depth - 1);
                self.put("}");
            }
            2 if !self.imports_input && !self.calm => self.term(1),
            _ => self.new_var(),
        }
    }

    fn term(&mut self, depth: usize) {
        let Some(below) = depth.checked_sub(1) else {
            match self.random.below(3) {
                0 => self.pick(&["1", "\"a\"", "null", "true", "[]", "{}", "set()"]),
                _ => self.var(),
            }
            return;
        };
        match self.random.below(17) {
            0..=2 => self.var(),
            3 => self.pick(&["1", "\"a\"", "false", "2.50", "`raw`"]),
            4 | 5 => {
                self.pick(&["input", "data", "data.a", "data.b.q", "x", "p", "q", "b", "data.a.p"]);
                for _ in 0..=self.random.below(2) {
                    match self.random.below(3) {
                        0 => self.pick(&[".a", ".b", ".p", "[\"c\"]", "[1]"]),
                        _ => {
                            self.put("[");
                            self.term(below.min(1));
                            self.put("]");
                        }
                    }
                }
            }
            6 => {
                self.put("[");
                self.term(below);
                self.put(", ");
                self.term(below);
                self.put("]");
                if self.chance(3) {
                    self.put("[");
                    self.var();
                    self.put("]");
                }
            }
            7 => {
                self.put("{");
                self.term(below);
                self.put(": ");
                self.term(below);
                self.put(", \"k\": ");
                self.term(below);
                self.put("}");
            }
            8 => {
                self.put("{");
                self.term(below);
                self.put(", ");
                self.term(below);
                self.put("}");
            }
            9..=11 => {
                let kind = self.random.below(3);
                self.put(if kind == 0 { "[" } else { "{" });
                self.term(below.min(1));
                if kind == 2 {
                    self.put(": ");
                    self.term(below.min(1));
                }
                self.put(" |\n");
                self.closure(below);
                self.put(if kind == 0 { "]" } else { "}" });
            }
            12 | 13 if self.calm => {
                self.pick(&["count", "sum", "json.marshal", "upper", "type_name", "abs"]);
                self.put("(");
                self.term(below);
                self.put(")");
            }
            12 | 13 => {
                self.pick(&[
                    "f",
                    "g",
                    "count",
                    "data.a.f",
                    "sum",
                    "x",
                    "json.marshal",
                    "print",
                    "walk",
                ]);
                self.put("(");
                self.term(below);
                self.put(")");
                if self.chance(3) {
                    self.put("[");
                    self.var();
                    self.put("]");
                }
            }
            14 => {
                self.term(below);
                self.pick(&[" + ", " == ", " in ", " & ", " > ", " - "]);
                self.term(below);
            }
            15 => {
                self.put("$\"t {");
                self.term(below);
                self.put("} {");
                self.var();
                self.put("}\"");
            }
            _ => self.pick(&[
                "rego.metadata.rule()",
                "rego.metadata.chain()",
                "opa.runtime()",
                "time.now_ns()",
            ]),
        }
    }
}
