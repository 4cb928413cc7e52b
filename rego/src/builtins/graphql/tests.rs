//! Values from OPA.

use crate::builtins::tests::agree;

#[test]
fn queries_have_the_library_s_tree() {
    agree(&[
        (
            "graphql.parse_query",
            &[
                r#""query Q($x: Int = 1) { a: b(x: $x, y: [1.5, \"s\", {k: E}]) @d { ...F ... on T { c } } } # end\nfragment F on T { e }""#,
            ],
            r##"{"Fragments": [{"Comment": {"List": [{"Value": "# end"}]}, "Name": "F", "SelectionSet": [{"Alias": "e", "Name": "e"}], "TypeCondition": "T"}], "Operations": [{"Name": "Q", "Operation": "query", "SelectionSet": [{"Alias": "a", "Arguments": [{"Name": "x", "Value": {"ExpectedTypeHasDefault": false, "Kind": 0, "Raw": "x"}}, {"Name": "y", "Value": {"Children": [{"Name": "", "Value": {"ExpectedTypeHasDefault": false, "Kind": 2, "Raw": "1.5"}}, {"Name": "", "Value": {"ExpectedTypeHasDefault": false, "Kind": 3, "Raw": "s"}}, {"Name": "", "Value": {"Children": [{"Name": "k", "Value": {"ExpectedTypeHasDefault": false, "Kind": 7, "Raw": "E"}}], "ExpectedTypeHasDefault": false, "Kind": 9, "Raw": ""}}], "ExpectedTypeHasDefault": false, "Kind": 8, "Raw": ""}}], "Directives": [{"Location": "", "Name": "d"}], "Name": "b", "SelectionSet": [{"Name": "F"}, {"SelectionSet": [{"Alias": "c", "Name": "c"}], "TypeCondition": "T"}]}], "VariableDefinitions": [{"DefaultValue": {"ExpectedTypeHasDefault": false, "Kind": 1, "Raw": "1"}, "Type": {"NamedType": "Int", "NonNull": false}, "Used": false, "Variable": "x"}]}]}"##,
        ),
        (
            "graphql.parse_query",
            &[r##""# first\n{ a }""##],
            r#"{"Operations": [{"Name": "", "Operation": "query", "SelectionSet": [{"Alias": "a", "Name": "a"}]}]}"#,
        ),
        (
            "graphql.parse_query",
            &[r#""{ a(x: \"\"\"\n   b\n    c\n  \"\"\") }""#],
            r#"{"Operations": [{"Name": "", "Operation": "query", "SelectionSet": [{"Alias": "a", "Arguments": [{"Name": "x", "Value": {"ExpectedTypeHasDefault": false, "Kind": 4, "Raw": "b\n c"}}], "Name": "a"}]}]}"#,
        ),
        ("graphql.parse_query", &[r#""""#], "{}"),
    ]);
}

#[test]
fn schemas_have_the_library_s_tree() {
    agree(&[
        (
            "graphql.parse_schema",
            &[
                r#""\"d\" type A implements B & C @x(y: 1) { \"f\" f(a: [Int!] = [1]): String! } enum E { X Y @deprecated } union U = A | B input I { a: Int = 2 } scalar S directive @x(y: Int) repeatable on OBJECT | FIELD schema { query: A } interface B { f: Int } extend type A { g: Int }""#,
            ],
            r#"{"Definitions": [{"BuiltIn": false, "Description": "d", "Directives": [{"Arguments": [{"Name": "y", "Value": {"ExpectedTypeHasDefault": false, "Kind": 1, "Raw": "1"}}], "Location": "", "Name": "x"}], "Fields": [{"Arguments": [{"DefaultValue": {"Children": [{"Name": "", "Value": {"ExpectedTypeHasDefault": false, "Kind": 1, "Raw": "1"}}], "ExpectedTypeHasDefault": false, "Kind": 8, "Raw": ""}, "Description": "", "Name": "a", "Type": {"Elem": {"NamedType": "Int", "NonNull": true}, "NamedType": "", "NonNull": false}}], "Description": "f", "Name": "f", "Type": {"NamedType": "String", "NonNull": true}}], "Interfaces": ["B", "C"], "Kind": "OBJECT", "Name": "A"}, {"BuiltIn": false, "Description": "", "EnumValues": [{"Description": "", "Name": "X"}, {"Description": "", "Directives": [{"Location": "", "Name": "deprecated"}], "Name": "Y"}], "Kind": "ENUM", "Name": "E"}, {"BuiltIn": false, "Description": "", "Kind": "UNION", "Name": "U", "Types": ["A", "B"]}, {"BuiltIn": false, "Description": "", "Fields": [{"DefaultValue": {"ExpectedTypeHasDefault": false, "Kind": 1, "Raw": "2"}, "Description": "", "Name": "a", "Type": {"NamedType": "Int", "NonNull": false}}], "Kind": "INPUT_OBJECT", "Name": "I"}, {"BuiltIn": false, "Description": "", "Kind": "SCALAR", "Name": "S"}, {"BuiltIn": false, "Description": "", "Fields": [{"Description": "", "Name": "f", "Type": {"NamedType": "Int", "NonNull": false}}], "Kind": "INTERFACE", "Name": "B"}], "Directives": [{"Arguments": [{"Description": "", "Name": "y", "Type": {"NamedType": "Int", "NonNull": false}}], "Description": "", "IsRepeatable": true, "Locations": ["OBJECT", "FIELD"], "Name": "x"}], "Extensions": [{"BuiltIn": false, "Description": "", "Fields": [{"Description": "", "Name": "g", "Type": {"NamedType": "Int", "NonNull": false}}], "Kind": "OBJECT", "Name": "A"}], "Schema": [{"Description": "", "OperationTypes": [{"Operation": "query", "Type": "A"}]}]}"#,
        ),
        (
            "graphql.parse_schema",
            &[r##""# c\ntype A { # d\n f: Int\n # e\n}\n# z""##],
            r##"{"Comment": {"List": [{"Value": "# z"}]}, "Definitions": [{"AfterDescriptionComment": {"List": [{"Value": "# c"}]}, "BuiltIn": false, "Description": "", "EndOfDefinitionComment": {"List": [{"Value": "# e"}]}, "Fields": [{"AfterDescriptionComment": {"List": [{"Value": "# d"}]}, "Description": "", "Name": "f", "Type": {"NamedType": "Int", "NonNull": false}}], "Kind": "OBJECT", "Name": "A"}]}"##,
        ),
    ]);
}

#[test]
fn what_is_no_document_is_refused_with_its_place() {
    agree(&[
        (
            "graphql.parse_query",
            &[r#""{""#],
            "error: Expected Name, found <EOF> in GraphQL string at location 1:2",
        ),
        (
            "graphql.parse_query",
            &[r#""{ a(""#],
            "error: Expected Name, found <EOF> in GraphQL string at location 1:5",
        ),
        (
            "graphql.parse_query",
            &[r#""a""#],
            r#"error: Unexpected Name "a" in GraphQL string at location 1:1"#,
        ),
        (
            "graphql.parse_query",
            &[r#""{ a: }""#],
            "error: Expected Name, found } in GraphQL string at location 1:6",
        ),
        (
            "graphql.parse_query",
            &[r#""{ a(x: 01) }""#],
            "error: Unexpected <Invalid> in GraphQL string at location 1:9",
        ),
        (
            "graphql.parse_query",
            &[r#""{ a(x: \"b) }""#],
            "error: Unexpected <Invalid> in GraphQL string at location 1:13",
        ),
        (
            "graphql.parse_query",
            &[r#""{ a(x: 'b') }""#],
            "error: Unexpected <Invalid> in GraphQL string at location 1:8",
        ),
        (
            "graphql.parse_query",
            &[r#""query { }""#],
            "error: expected at least one definition, found } in GraphQL string at location 1:9",
        ),
        (
            "graphql.parse_query",
            &[r#""{ ... on }""#],
            "error: Expected Name, found } in GraphQL string at location 1:10",
        ),
        (
            "graphql.parse_query",
            &[r#""fragment on on T { a }""#],
            r#"error: Unexpected Name "on" in GraphQL string at location 1:10"#,
        ),
        (
            "graphql.parse_query",
            &[r#""{ a(x: \"\\q\") }""#],
            "error: Unexpected <Invalid> in GraphQL string at location 1:10",
        ),
        (
            "graphql.parse_schema",
            &[r#""type A {""#],
            "error: Expected Name, found <EOF> in GraphQL string at location 1:9",
        ),
        (
            "graphql.parse_schema",
            &[r#""type""#],
            "error: Expected Name, found <EOF> in GraphQL string at location 1:5",
        ),
        (
            "graphql.parse_schema",
            &[r#""extend type A""#],
            "error: Unexpected <EOF> in GraphQL string at location 1:14",
        ),
        (
            "graphql.parse_schema",
            &[r#""directive @d on NOWHERE""#],
            r#"error: Unexpected Name "NOWHERE" in GraphQL string at location 1:17"#,
        ),
        (
            "graphql.parse_schema",
            &[r#""type A { f }""#],
            "error: Expected :, found } in GraphQL string at location 1:12",
        ),
        (
            "graphql.parse_schema",
            &[r#""union U = ""#],
            "error: Expected Name, found <EOF> in GraphQL string at location 1:11",
        ),
    ]);
}

#[test]
fn queries_that_keep_all_rules_are_valid() {
    agree(&[
        (
            "graphql.is_valid",
            &[
                r#""{ hello }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "true",
        ),
        (
            "graphql.is_valid",
            &[
                r#""query Q($i: ID!) { person(id: $i) { name friends { id } } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "true",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ all { id ... on Dog { bark } ...P } } fragment P on Person { name }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "true",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ person(id: 1, f: {a: 2, b: [Y, X]}) { __typename } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "true",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ a: hello b: hello @skip(if: true) }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "true",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ __schema { types { name } } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "true",
        ),
        (
            "graphql.is_valid",
            &[
                r#""mutation { m }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "true",
        ),
        (
            "graphql.is_valid",
            &[
                r#""subscription { s }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "true",
        ),
    ]);
}

#[test]
fn queries_that_break_a_rule_are_not() {
    agree(&[
        (
            "graphql.is_valid",
            &[
                r#""{ nope }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ hello { x } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ person { name } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ person(id: 1) }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ person(id: 1.5) { name } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""query ($i: Int) { person(id: $i) { name } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""query ($i: ID!) { hello }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ person(id: $x) { name } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ ...F }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ hello ...F } fragment F on Query { ...F }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""fragment F on Person { name } { hello }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ all { ... on Nope { id } } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ all { ... on E { id } } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ hello @nope }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ hello @skip }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ hello @skip(if: true) @skip(if: true) }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ person(id: 1, id: 2) { name } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ a: hello a: all { id } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ person(id: 1) { x: name x: id } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ person(id: 1, f: {}) { name } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ person(id: 1, f: {a: 1, z: 2}) { name } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ person(id: 1, f: {a: 1, b: Z}) { name } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ hello } { hello }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""subscription { s t }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ person(id: null) { name } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ person(id: 1) { ... on Dog { bark } } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""{ __type(name: \"x\") { fields { type { fields { type { fields { name } } } } } } }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""query Q { hello } query Q { hello }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                r#""query ($a: Person) { hello }""#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
    ]);
}

#[test]
fn schemas_are_checked_too() {
    agree(&[
        (
            "graphql.schema_is_valid",
            &[
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "true",
        ),
        ("graphql.schema_is_valid", &[r#""type Query { a: Nope }""#], "false"),
        ("graphql.schema_is_valid", &[r#""type A { a: Int } type A { b: Int }""#], "false"),
        (
            "graphql.schema_is_valid",
            &[r#""type A implements I { a: Int } interface I { a: Int! }""#],
            "false",
        ),
        (
            "graphql.schema_is_valid",
            &[r#""interface I { a: Int } type A implements I { a: Int b: Int }""#],
            "true",
        ),
        ("graphql.schema_is_valid", &[r#""input I { i: I! }""#], "false"),
        ("graphql.schema_is_valid", &[r#""input I { i: I }""#], "true"),
        ("graphql.schema_is_valid", &[r#""enum E { true }""#], "false"),
        ("graphql.schema_is_valid", &[r#""union U = E enum E { X }""#], "false"),
        ("graphql.schema_is_valid", &[r#""type A { __a: Int }""#], "false"),
        ("graphql.schema_is_valid", &[r#""type A { a(x: A): Int }""#], "false"),
        ("graphql.schema_is_valid", &[r#""type A @nope { a: Int }""#], "false"),
        (
            "graphql.schema_is_valid",
            &[r#""directive @d(a: Int @d) on ARGUMENT_DEFINITION""#],
            "false",
        ),
        ("graphql.schema_is_valid", &[r#""extend type B { a: Int }""#], "true"),
        ("graphql.schema_is_valid", &[r#""scalar Int""#], "false"),
        ("graphql.schema_is_valid", &[r#""directive @skip on FIELD""#], "true"),
        ("graphql.schema_is_valid", &[r#""type A { a: Int a: Int }""#], "false"),
        ("graphql.schema_is_valid", &[r#""schema { query: Q }""#], "false"),
        ("graphql.schema_is_valid", &[r#""""#], "true"),
    ]);
}

#[test]
fn a_tree_may_be_given_for_a_text() {
    agree(&[
        (
            "graphql.is_valid",
            &[
                r#"{"Operations": [{"Operation": "query", "SelectionSet": [{"Name": "hello"}]}]}"#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "true",
        ),
        (
            "graphql.is_valid",
            &[
                r#"{"Operations": [{"SelectionSet": [{"Name": "nope"}]}]}"#,
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.is_valid",
            &[
                "1",
                r#""type Query { person(id: ID!, f: Filter): Person hello: String all: [Node!]! } interface Node { id: ID! } type Person implements Node { id: ID! name: String! friends: [Person!] } type Dog implements Node { id: ID! bark: Int } input Filter { a: Int! b: [E] = [X] } enum E { X Y } union U = Person | Dog type Mutation { m: Int } type Subscription { s: Int t: Int }""#,
            ],
            "false",
        ),
        (
            "graphql.parse_and_verify",
            &[r#""{ nope }""#, r#""type Query { a: Int }""#],
            "[false, {}, {}]",
        ),
        (
            "graphql.parse_and_verify",
            &[r#""{ a }""#, r#""type Query { a: Int }""#],
            r#"[true, {"Operations": [{"Name": "", "Operation": "query", "SelectionSet": [{"Alias": "a", "Name": "a"}]}]}, {"Definitions": [{"BuiltIn": false, "Description": "", "Fields": [{"Description": "", "Name": "a", "Type": {"NamedType": "Int", "NonNull": false}}], "Kind": "OBJECT", "Name": "Query"}]}]"#,
        ),
        (
            "graphql.parse",
            &[r#""{ a }""#, r#""type Query { a: Int }""#],
            r#"[{"Operations": [{"Name": "", "Operation": "query", "SelectionSet": [{"Alias": "a", "Name": "a"}]}]}, {"Definitions": [{"BuiltIn": false, "Description": "", "Fields": [{"Description": "", "Name": "a", "Type": {"NamedType": "Int", "NonNull": false}}], "Kind": "OBJECT", "Name": "Query"}]}]"#,
        ),
    ]);
}

#[test]
fn what_is_too_deep_is_a_limit() {
    use crate::builtins::Failure;
    use crate::builtins::tests::call;
    for query in ["{a".repeat(5_000), format!("{{a(x:{}", "[".repeat(5_000))] {
        let answer = call("graphql.parse_query", &[&format!("\"{query}\"")]);
        assert!(matches!(answer, Err(Failure::Halt(_))));
    }
}
