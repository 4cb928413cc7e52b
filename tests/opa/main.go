// The real OPA as a long-lived process, for comparisons: a JSON request a line on standard input, a
// JSON answer a line on standard output, in order.
//
//	{"op":"parse","files":{"a.rego":"package a"},"v0":false}
//	    {"modules":{"a.rego":<AST as of opa parse --format json, with locations>}} or {"errors":[…]}
//	    with "comparable":true, without comments, without the names of heads, which repeat the reference or are empty,
//	    and without places in the references of annotations, which are texts of their own
//	{"op":"compile","files":{…},"after":"CheckTypes"}
//	    the modules' AST after that stage of the compiler (all stages where left out); the index of a
//	    statement that was rewritten from := is -1 minus the index
//	    "names":true adds "rewritten" (the policy's names of renamed variables) and "subjects", a module
//	    whose one body equates generated variables with the expressions that messages show for them;
//	    "all_errors":true reports all errors, not only the first ten
//	{"op":"eval","files":{…},"data":{…},"input":…,"no_input":false,"query":"data.a.p","strict":false}
//	    {"result":<value>} or {} (undefined), {"errors":[…]} (loading), {"error":{"code","message"}}
//	{"op":"call","name":"plus","args":[1,2]}
//	    a built-in on constants: {"result":…} or {} or {"error":{…}}; arguments are Rego text: "args":["1","{1,2}"]
//	{"op":"builtin","name":"plus","values":[{"n":"1"},{"n":"2"}],"time":0}
//	    a built-in on values, without a policy: {"results":[{"n":"3"}]} or {} or {"error":{…}}; see builtin.go
//
// In "eval" and "call", "terms":true makes results Rego text in brackets ("[{1, 2}]") instead of JSON, to
// distinguish sets and numbers.
//
// In "eval", "explain":true adds the trace of the one query by mode: "lines":{"full":[…]} as text, and
// "events":{"full":[…]} as the Data API returns it.
//
// "eval" takes several questions at once, and then answers {"results":[…]}, for every query every input:
//
//	"queries":["data.a.p",…]  or  "paths":[["a","p"],…]  below data;  "inputs":[…]
//
// and further "time":<ns since 1970>, which the policy reads; "bundle":true, which reads the files as a bundle (data.json,
// data.yaml and .manifest among them, by directory, conflicts of data and rules found); "typed":true, which writes
// values of data, inputs and results as "builtin" does, and {"u":true} where there is no input.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"
	"testing/fstest"
	"time"
	"unsafe"

	"github.com/open-policy-agent/opa/v1/ast"
	astjson "github.com/open-policy-agent/opa/v1/ast/json"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/server/types"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/lineage"
	"github.com/open-policy-agent/opa/v1/util"
)

type request struct {
	Op      string            `json:"op"`
	Files   map[string]string `json:"files"`
	V0      bool              `json:"v0"`
	After   string            `json:"after"`
	Data    any               `json:"data"`
	Input   json.RawMessage   `json:"input"`
	Inputs  []json.RawMessage `json:"inputs"`
	NoInput bool              `json:"no_input"`
	Query   string            `json:"query"`
	Queries []string          `json:"queries"`
	Strict  bool              `json:"strict"`
	Terms   bool              `json:"terms"`
	Typed   bool              `json:"typed"`
	Paths   [][]string        `json:"paths"`
	Bundle  bool              `json:"bundle"`
	Name    string            `json:"name"`
	Args    []string          `json:"args"`
	Values  []any             `json:"values"`
	Time    int64             `json:"time"`

	Names      bool `json:"names"`
	AllErrors  bool `json:"all_errors"`
	Comparable bool `json:"comparable"`
	Explain    bool `json:"explain"`
}

type fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Row     int    `json:"row,omitempty"`
	Col     int    `json:"col,omitempty"`
}

type outcome struct {
	Modules map[string]any `json:"modules,omitempty"`
	Errors  []fault        `json:"errors,omitempty"`
	Error   *fault         `json:"error,omitempty"`
	Result  any            `json:"result,omitempty"`
	Results []any          `json:"results,omitempty"`

	// By mode: the lines of text, and the events as the Data API returns them.
	Lines  map[string][]string      `json:"lines,omitempty"`
	Events map[string]types.TraceV1 `json:"events,omitempty"`

	Rewritten map[ast.Var]ast.Var `json:"rewritten,omitempty"`
	Subjects  *ast.Module         `json:"subjects,omitempty"`
}

func faults(err error) []fault {
	// First, because the error of a built-in may hold those of a module.
	var top *topdown.Error
	if errors.As(err, &top) {
		f := fault{Code: top.Code, Message: top.Message}
		if top.Location != nil {
			f.File, f.Row, f.Col = top.Location.File, top.Location.Row, top.Location.Col
		}
		return []fault{f}
	}
	var many ast.Errors
	if errors.As(err, &many) {
		var all []fault
		for _, e := range many {
			all = append(all, of(e))
		}
		return all
	}
	var one *ast.Error
	if errors.As(err, &one) {
		return []fault{of(one)}
	}
	return []fault{{Code: "error", Message: err.Error()}}
}

func of(e *ast.Error) fault {
	f := fault{Code: e.Code, Message: e.Message}
	if e.Location != nil {
		f.File, f.Row, f.Col = e.Location.File, e.Location.Row, e.Location.Col
	}
	return f
}

func parse(r request) (map[string]*ast.Module, error) {
	options := ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1}
	if r.V0 {
		options.RegoVersion = ast.RegoV0
	}
	if r.Op == "parse" || r.Op == "compile" {
		every := astjson.NodeToggle{Term: true, Package: true, Comment: false, Import: true, Rule: true, Head: true, Expr: true, SomeDecl: true, Every: true, With: true, Annotations: true, AnnotationsRef: true}
		astjson.SetOptions(astjson.Options{MarshalOptions: astjson.MarshalOptions{IncludeLocation: every}})
	}
	modules := map[string]*ast.Module{}
	names := make([]string, 0, len(r.Files))
	for name := range r.Files {
		names = append(names, name)
	}
	sort.Strings(names)
	var all ast.Errors
	for _, name := range names {
		m, err := ast.ParseModuleWithOpts(name, r.Files[name], options)
		if err != nil {
			var many ast.Errors
			if errors.As(err, &many) {
				all = append(all, many...)
				continue
			}
			return nil, err
		}
		modules[name] = m
	}
	if len(all) > 0 {
		return nil, all
	}
	return modules, nil
}

// The parts that another parser's tree need not have.
func comparable(m *ast.Module) {
	m.Comments = nil
	nowhere := func(annotations []*ast.Annotations) {
		for _, a := range annotations {
			var refs []ast.Ref
			for _, s := range a.Schemas {
				refs = append(refs, s.Schema)
			}
			if a.Compile != nil {
				refs = append(append(refs, a.Compile.Unknowns...), a.Compile.MaskRule)
			}
			for _, ref := range refs {
				for _, term := range ref {
					term.Location = nil
				}
			}
		}
	}
	nowhere(m.Annotations)
	ast.WalkRules(m, func(rule *ast.Rule) bool {
		rule.Head.Name = ""
		nowhere(rule.Annotations)
		return false
	})
}

// The modules and data of files that are a bundle.
func bundled(r request) (map[string]*ast.Module, map[string]any, error) {
	files := fstest.MapFS{}
	for name, text := range r.Files {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	loader, err := bundle.NewFSLoader(files)
	if err != nil {
		return nil, nil, err
	}
	version := ast.RegoV1
	if r.V0 {
		version = ast.RegoV0
	}
	b, err := bundle.NewCustomReader(loader).WithRegoVersion(version).WithProcessAnnotations(true).WithSkipBundleVerification(true).Read()
	if err != nil {
		return nil, nil, err
	}
	modules := map[string]*ast.Module{}
	for _, m := range b.Modules {
		modules[strings.TrimPrefix(m.Path, "/")] = m.Parsed
	}
	return modules, b.Data, nil
}

func compiler(r request) (*ast.Compiler, map[string]any, error) {
	var modules map[string]*ast.Module
	var data map[string]any
	var err error
	if r.Bundle {
		modules, data, err = bundled(r)
	} else {
		modules, err = parse(r)
	}
	if err != nil {
		return nil, nil, err
	}
	c := ast.NewCompiler().WithEnablePrintStatements(true)
	if r.AllErrors {
		c.SetErrorLimit(0)
	}
	if r.V0 {
		c = c.WithDefaultRegoVersion(ast.RegoV0)
	}
	stop := errors.New("stop")
	var taken map[string]*ast.Module
	if r.After != "" {
		c = c.WithStageAfter(r.After, ast.CompilerStageDefinition{Name: "stop", MetricName: "stop", Stage: func(c *ast.Compiler) *ast.Error {
			taken = map[string]*ast.Module{}
			for n, m := range c.Modules {
				taken[n] = m.Copy()
			}
			return &ast.Error{Code: "stop", Message: stop.Error()}
		}})
	}
	if r.Bundle {
		store := inmem.NewFromObject(data)
		txn := storage.NewTransactionOrDie(context.Background(), store)
		defer store.Abort(context.Background(), txn)
		c = c.WithPathConflictsCheck(storage.NonEmpty(context.Background(), store, txn))
	}
	c.Compile(modules)
	if taken != nil {
		c.Modules = taken
		return c, data, nil
	}
	if c.Failed() {
		return nil, nil, c.Errors
	}
	return c, data, nil
}

// OPA's JSON leaves out that a statement was rewritten from :=, and the check of safety depends on it.
func markAssignments(m *ast.Module) {
	ast.WalkExprs(m, func(e *ast.Expr) bool {
		if e.Index >= 0 && reflect.ValueOf(e).Elem().FieldByName("fromAssignment").Bool() {
			e.Index = -1 - e.Index
		}
		return false
	})
}

// subjects gives the expressions that messages show for generated variables. The compiler keeps them in a field
// that is not exported.
func subjects(c *ast.Compiler) *ast.Module {
	m := ast.MustParseModule("package subjects\n\nsubjects := true")
	generator := reflect.ValueOf(c).Elem().FieldByName("localvargen")
	if generator.IsNil() {
		return m
	}
	field := generator.Elem().FieldByName("subjects")
	all := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Interface().(map[ast.Var]ast.Value)
	for v, value := range all {
		m.Rules[0].Body.Append(ast.Equality.Expr(ast.NewTerm(v), ast.NewTerm(value)))
	}
	return m
}

func answer(r request) (o outcome) {
	defer func() {
		if p := recover(); p != nil {
			o = outcome{Error: &fault{Code: "panic", Message: fmt.Sprint(p)}}
		}
	}()
	switch r.Op {
	case "parse":
		modules, err := parse(r)
		if err != nil {
			return outcome{Errors: faults(err)}
		}
		o.Modules = map[string]any{}
		for n, m := range modules {
			if r.Comparable {
				comparable(m)
			}
			o.Modules[n] = m
		}
		return o
	case "compile":
		c, _, err := compiler(r)
		if err != nil {
			return outcome{Errors: faults(err)}
		}
		o.Modules = map[string]any{}
		for n, m := range c.Modules {
			markAssignments(m)
			o.Modules[n] = m
		}
		if r.Names {
			o.Rewritten = c.RewrittenVars
			o.Subjects = subjects(c)
		}
		return o
	case "eval", "call":
		if r.Op == "call" {
			r.Query = "data.call.x"
			r.Files = map[string]string{"call.rego": "package call\nx := " + r.Name + "(" + strings.Join(r.Args, ", ") + ")"}
		}
		c, data, err := compiler(r)
		if err != nil {
			return outcome{Errors: faults(err)}
		}
		if !r.Bundle && r.Data != nil {
			plain := r.Data
			if r.Typed {
				v, err := decode(plain)
				if err == nil {
					plain, err = ast.JSON(v)
				}
				if err != nil {
					return outcome{Error: &fault{Code: "request", Message: err.Error()}}
				}
			}
			data, _ = plain.(map[string]any)
		}
		if data == nil {
			data = map[string]any{}
		}
		store := inmem.NewFromObject(data)
		queries, inputs := r.Queries, r.Inputs
		for _, path := range r.Paths {
			ref := ast.Ref{ast.DefaultRootDocument}
			for _, key := range path {
				ref = append(ref, ast.StringTerm(key))
			}
			queries = append(queries, ref.String())
		}
		single := len(queries) == 0 && len(inputs) == 0
		if len(queries) == 0 {
			queries = []string{r.Query}
		}
		if len(inputs) == 0 {
			inputs = []json.RawMessage{r.Input}
		}
		for _, query := range queries {
			if r.Terms {
				// JSON has no sets: the value's text, in brackets so that a string keeps its quotes.
				query = "x := " + query + "; sprintf(\"%v\", [[x]])"
			}
			options := []func(*rego.Rego){rego.Query(query), rego.Compiler(c), rego.Store(store), rego.StrictBuiltinErrors(r.Strict)}
			if r.Typed {
				options = append(options, rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return encode(t.Value), nil }))
			}
			prepared, err := rego.New(options...).PrepareForEval(context.Background())
			if err != nil {
				// A fault in one query does not affect the others.
				if !single {
					f := faults(err)[0]
					for range inputs {
						o.Results = append(o.Results, outcome{Error: &f})
					}
					continue
				}
				return outcome{Errors: faults(err)}
			}
			for _, in := range inputs {
				one := evaluate(prepared, in, r)
				if single {
					return one
				}
				o.Results = append(o.Results, one)
			}
		}
		return o
	case "builtin":
		return builtin(r)
	default:
		return outcome{Error: &fault{Code: "request", Message: "no such op: " + r.Op}}
	}
}

func evaluate(p rego.PreparedEvalQuery, in json.RawMessage, r request) outcome {
	var options []rego.EvalOption
	if !r.NoInput && len(in) > 0 {
		var x any
		if err := util.NewJSONDecoder(bytes.NewReader(in)).Decode(&x); err != nil {
			return outcome{Error: &fault{Code: "input", Message: err.Error()}}
		}
		var v ast.Value
		var err error
		if absent, _ := x.(map[string]any); r.Typed && absent["u"] == true {
			v = nil
		} else if r.Typed {
			v, err = decode(x)
		} else {
			v, err = ast.InterfaceToValue(x)
		}
		if err != nil {
			return outcome{Error: &fault{Code: "input", Message: err.Error()}}
		}
		if v != nil {
			options = append(options, rego.EvalParsedInput(v))
		}
	}
	if r.Time != 0 {
		options = append(options, rego.EvalTime(time.Unix(0, r.Time)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	tracer := topdown.NewBufferTracer()
	if r.Explain {
		options = append(options, rego.EvalQueryTracer(tracer))
	}
	rs, err := p.Eval(ctx, options...)
	var o outcome
	if r.Explain {
		o = explained(*tracer)
	}
	if err != nil {
		f := faults(err)[0]
		o.Error = &f
	} else if len(rs) > 0 {
		o.Result = &rs[0].Expressions[len(rs[0].Expressions)-1].Value
	}
	return o
}

func explained(trace []*topdown.Event) outcome {
	o := outcome{Lines: map[string][]string{}, Events: map[string]types.TraceV1{}}
	for mode, filter := range map[string]func([]*topdown.Event) []*topdown.Event{
		"notes": lineage.Notes, "fails": lineage.Fails, "full": lineage.Full, "debug": lineage.Debug,
	} {
		events := filter(trace)
		var text bytes.Buffer
		topdown.PrettyTraceWithLocation(&text, events)
		if lines := strings.Trim(text.String(), "\n"); lines != "" {
			o.Lines[mode] = strings.Split(lines, "\n")
		}
		if mode == "full" || mode == "notes" {
			o.Events[mode], _ = types.NewTraceV1(events, false)
		}
	}
	return o
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var r request
			var o outcome
			d := util.NewJSONDecoder(bytes.NewReader(line))
			if e := d.Decode(&r); e != nil {
				o = outcome{Error: &fault{Code: "request", Message: e.Error()}}
			} else {
				o = answer(r)
			}
			b, e := json.Marshal(o)
			if e != nil {
				b, _ = json.Marshal(outcome{Error: &fault{Code: "marshal", Message: e.Error()}})
			}
			out.Write(b)
			out.WriteByte('\n')
			if in.Buffered() == 0 {
				out.Flush()
			}
		}
		if err != nil {
			out.Flush()
			return
		}
	}
}
