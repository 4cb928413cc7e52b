// OPA's own REST client, unchanged, against the base URL in SDK_BASE, and OPA's own types for what
// comes back. Prints what fails, and `N passed, N failed`.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"

	"github.com/open-policy-agent/opa/v1/keys"
	"github.com/open-policy-agent/opa/v1/logging"
	"github.com/open-policy-agent/opa/v1/plugins/rest"
	"github.com/open-policy-agent/opa/v1/server/types"
	"github.com/open-policy-agent/opa/v1/util"
)

var passed, failed int

func check(name string, expected, actual any) {
	if reflect.DeepEqual(expected, actual) {
		passed++
		return
	}
	failed++
	fmt.Printf("%s\n  expected %#v\n  got      %#v\n", name, expected, actual)
}

type server struct {
	client rest.Client
}

func connect(base string) server {
	config, err := json.Marshal(map[string]any{"name": "opa", "url": base})
	if err != nil {
		panic(err)
	}
	client, err := rest.New(config, map[string]*keys.Config{}, rest.Logger(logging.NewNoOpLogger()))
	if err != nil {
		panic(err)
	}
	return server{client}
}

// ask sends a request and decodes the answer into what OPA decodes it into.
func (s server) ask(method, path string, body any, into any) (int, error) {
	client := s.client
	if body != nil {
		client = client.WithJSON(body)
	}
	response, err := client.Do(context.Background(), method, path)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return response.StatusCode, err
	}
	if into == nil {
		return response.StatusCode, nil
	}
	return response.StatusCode, util.UnmarshalJSON(text, into)
}

// failure is an error as OPA's server writes it.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Errors  []struct {
		Code     string `json:"code"`
		Message  string `json:"message"`
		Location *struct {
			File string `json:"file"`
			Row  int    `json:"row"`
			Col  int    `json:"col"`
		} `json:"location"`
	} `json:"errors"`
}

// result is the result of a document, or why there is none.
func (s server) result(method, path string, body any) any {
	var answer types.DataResponseV1
	status, err := s.ask(method, path, body, &answer)
	switch {
	case err != nil:
		return err
	case status != http.StatusOK:
		return status
	case answer.Result == nil:
		return "undefined"
	}
	return *answer.Result
}

func number(text string) json.Number { return json.Number(text) }

func main() {
	base := os.Getenv("SDK_BASE")
	if base == "" {
		fmt.Println("SDK_BASE is not set: the base URL of OPA, or of a tenant's root")
		os.Exit(1)
	}
	opa := connect(base)
	input := func(value any) any { return map[string]any{"input": value} }
	role := func(role, action string) any {
		return map[string]any{"subject": map[string]any{"role": role}, "action": action}
	}

	// The Data API.
	check("an allow", true, opa.result("POST", "v1/data/tenants/t/allow", input(role("admin", "read"))))
	check("a deny", false, opa.result("POST", "v1/data/tenants/t/allow", input(role("reader", "write"))))
	check("a set", []any{"pii.email", "pii.phone"}, opa.result("POST", "v1/data/tenants/t/redact", input(role("reader", "read"))))
	check("without input", number("42"), opa.result("GET", "v1/data/tenants/t/number", nil))
	check("an undefined document", "undefined", opa.result("GET", "v1/data/tenants/t/undefined_rule", nil))
	check("a document that is not there", "undefined", opa.result("POST", "v1/data/tenants/t/nothing", input(1)))
	// OPA's type does not tell null from undefined.
	check("null", "undefined", opa.result("GET", "v1/data/tenants/t/null_rule", nil))
	check("an escaped path", "slash", opa.result("GET", "v1/data/tenants/t/object/a%2Fb", nil))
	check("a base document", "France", opa.result("GET", "v1/data/eu/region/fr/name", nil))
	written := "1.50"
	if os.Getenv("SDK_DIFFERS") == "yes" {
		written = "1.5"
	}
	check("the input as a parameter", []any{number(written)}, opa.result("GET", "v1/data/tenants/t/echo?input=%5B1.50%5D", nil))
	for _, value := range []any{true, "text", "é😀 <&>", []any{number("1"), map[string]any{"a": nil}}, map[string]any{}, number("12345678901234567890123")} {
		check(fmt.Sprintf("the input %v", value), value, opa.result("POST", "v1/data/tenants/t/echo", input(value)))
	}

	var answer types.DataResponseV1
	status, err := opa.ask("POST", "v1/data/tenants/t/number", map[string]any{}, &answer)
	check("a warning without input", []any{200, error(nil), &types.Warning{Code: types.CodeAPIUsageWarn, Message: types.MsgInputKeyMissing}}, []any{status, err, answer.Warning})
	answer = types.DataResponseV1{}
	_, err = opa.ask("POST", "v1/data/tenants/t/allow?metrics&provenance&explain=notes&pretty", input(role("admin", "read")), &answer)
	check("metrics, provenance and a decision id", []any{error(nil), true, true, true}, []any{err, answer.Metrics["timer_rego_query_eval_ns"] != nil, answer.Provenance != nil && answer.Provenance.Version != "", len(answer.DecisionID) == 36})
	var events struct {
		Explanation types.TraceV1Raw `json:"explanation"`
	}
	_, err = opa.ask("POST", "v1/data/tenants/t/noted?explain=full", input(map[string]any{"n": 1}), &events)
	check("an explanation that OPA's types take", []any{error(nil), true}, []any{err, len(events.Explanation) > 5})
	var lines struct {
		Explanation types.TraceV1Pretty `json:"explanation"`
	}
	_, err = opa.ask("POST", "v1/data/tenants/t/noted?explain=notes&pretty", input(map[string]any{"n": 1}), &lines)
	check("an explanation to read", []any{error(nil), true}, []any{err, strings.Contains(strings.Join(lines.Explanation, "\n"), `Note "n is 1"`)})

	var problem failure
	status, err = opa.ask("POST", "v1/data/tenants/t/conflict", input(map[string]any{"conflict": true}), &problem)
	check("an evaluation that fails", []any{500, error(nil), types.CodeInternal, types.MsgEvaluationError, 1}, []any{status, err, problem.Code, problem.Message, len(problem.Errors)})
	if len(problem.Errors) == 1 && problem.Errors[0].Location != nil {
		check("its inner error", []any{"eval_conflict_error", "policy.rego"}, []any{problem.Errors[0].Code, problem.Errors[0].Location.File})
	} else {
		check("its inner error", "one with a location", problem.Errors)
	}
	problem = failure{}
	status, err = opa.ask("POST", "v1/data/tenants/t/number", []any{}, &problem)
	check("a body that is no object", []any{400, error(nil), types.CodeInvalidParameter}, []any{status, err, problem.Code})

	// The Data API v0 and the default decision.
	var value any
	status, err = opa.ask("POST", "v0/data/tenants/t/echo", map[string]any{"a": "b"}, &value)
	check("v0", []any{200, error(nil), map[string]any{"a": "b"}}, []any{status, err, value})
	problem = failure{}
	status, err = opa.ask("POST", "v0/data/tenants/t/undefined_rule", nil, &problem)
	check("v0 without a value", []any{404, error(nil), types.CodeUndefinedDocument}, []any{status, err, problem.Code})
	status, err = opa.ask("POST", "", role("admin", "read"), &value)
	check("the default decision", []any{200, error(nil), true}, []any{status, err, value})

	// The Query API is an operator's choice.
	if os.Getenv("SDK_QUERY") == "yes" {
		var rows types.QueryResponseV1
		status, err = opa.ask("POST", "v1/query", map[string]any{"query": "data.list[i] = x; i < 2"}, &rows)
		check("a query", []any{200, error(nil), types.AdhocQueryResultSetV1{{"i": number("0"), "x": number("10")}, {"i": number("1"), "x": number("20")}}}, []any{status, err, rows.Result})
	}

	// What operators ask.
	var policies struct {
		Result []struct {
			ID  string `json:"id"`
			Raw string `json:"raw"`
		} `json:"result"`
	}
	status, err = opa.ask("GET", "v1/policies", nil, &policies)
	check("the policies", []any{200, error(nil), 5}, []any{status, err, len(policies.Result)})
	var policy types.PolicyGetResponseV1
	status, err = opa.ask("GET", "v1/policies/empty.rego", nil, &policy)
	check("a policy", []any{200, error(nil), "empty.rego", true}, []any{status, err, policy.Result.ID, strings.Contains(policy.Result.Raw, "package tenants.t.empty")})
	problem = failure{}
	status, err = opa.ask("GET", "v1/policies/nothing", nil, &problem)
	check("a policy that is not there", []any{404, error(nil), types.CodeResourceNotFound}, []any{status, err, problem.Code})
	var config types.ConfigResponseV1
	status, err = opa.ask("GET", "v1/config", nil, &config)
	check("the configuration", []any{200, error(nil), true}, []any{status, err, config.Result != nil})
	var health types.HealthResponseV1
	status, err = opa.ask("GET", "health?bundles", nil, &health)
	check("health", []any{200, error(nil), types.HealthResponseV1{}}, []any{status, err, health})

	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
