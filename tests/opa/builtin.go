package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
)

// decode reads a value in the typed form: {"n":"1.0"} is a number by its text, {"s":[…]} a set,
// {"o":[[key,value],…]} an object; null, booleans, strings and arrays are themselves.
func decode(raw any) (ast.Value, error) {
	switch x := raw.(type) {
	case nil:
		return ast.NullValue, nil
	case bool:
		return ast.Boolean(x), nil
	case string:
		return ast.String(x), nil
	case []any:
		terms, err := decodeAll(x)
		return ast.NewArray(terms...), err
	case map[string]any:
		if n, ok := x["n"].(string); ok {
			return ast.Number(n), nil
		}
		if s, ok := x["s"].([]any); ok {
			terms, err := decodeAll(s)
			return ast.NewSet(terms...), err
		}
		if o, ok := x["o"].([]any); ok {
			object := ast.NewObject()
			for _, entry := range o {
				pair, ok := entry.([]any)
				if !ok || len(pair) != 2 {
					return nil, fmt.Errorf("no pair: %v", entry)
				}
				terms, err := decodeAll(pair)
				if err != nil {
					return nil, err
				}
				object.Insert(terms[0], terms[1])
			}
			return object, nil
		}
	}
	return nil, fmt.Errorf("no value: %v", raw)
}

func decodeAll(raw []any) ([]*ast.Term, error) {
	terms := make([]*ast.Term, 0, len(raw))
	for _, x := range raw {
		v, err := decode(x)
		if err != nil {
			return nil, err
		}
		terms = append(terms, ast.NewTerm(v))
	}
	return terms, nil
}

// encode is the inverse of decode.
func encode(v ast.Value) any {
	switch x := v.(type) {
	case ast.Null:
		return nil
	case ast.Boolean:
		return bool(x)
	case ast.String:
		return string(x)
	case ast.Number:
		return map[string]any{"n": string(x)}
	case *ast.Array:
		all := []any{}
		x.Foreach(func(t *ast.Term) { all = append(all, encode(t.Value)) })
		return all
	case ast.Set:
		all := []any{}
		x.Foreach(func(t *ast.Term) { all = append(all, encode(t.Value)) })
		return map[string]any{"s": all}
	case ast.Object:
		all := []any{}
		x.Foreach(func(k, v *ast.Term) { all = append(all, []any{encode(k.Value), encode(v.Value)}) })
		return map[string]any{"o": all}
	default:
		return v.String()
	}
}

// builtin evaluates a built-in on values, without a policy: all results of a relation, else the one.
// A panic of OPA is a separate error.
func builtin(r request) (result outcome) {
	defer func() {
		if p := recover(); p != nil {
			result = outcome{Error: &fault{Code: "panic", Message: fmt.Sprint(p)}}
		}
	}()
	f := topdown.GetBuiltin(r.Name)
	if f == nil {
		return outcome{Error: &fault{Code: "request", Message: "no function: " + r.Name}}
	}
	operands, err := decodeAll(r.Values)
	if err != nil {
		return outcome{Error: &fault{Code: "request", Message: err.Error()}}
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	cancel := topdown.NewCancel()
	go func() { <-ctx.Done(); cancel.Cancel() }()
	bctx := topdown.BuiltinContext{
		Context:        ctx,
		Metrics:        metrics.NoOp(),
		Seed:           rand.Reader,
		Time:           ast.NumberTerm(json.Number(fmt.Sprint(r.Time))),
		Cancel:         cancel,
		PrintHook:      topdown.NewPrintHook(io.Discard),
		Cache:          builtins.Cache{},
		NDBuiltinCache: builtins.NDBCache{},
		Capabilities:   ast.CapabilitiesForThisVersion(),
	}
	var results []any
	err = f(bctx, operands, func(t *ast.Term) error {
		if t == nil {
			// Printing has no value, and the statement holds.
			results = append(results, true)
			return nil
		}
		results = append(results, encode(t.Value))
		return nil
	})
	if err != nil {
		e := faults(err)[0]
		return outcome{Error: &e}
	}
	return outcome{Results: results}
}
