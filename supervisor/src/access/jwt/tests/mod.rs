//! Tokens that are accepted, and every way not to be.

mod keys;

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use enforcer_protocol::TenantId;
use serde_json::{Value, json};

use super::algorithm::JwtAlgorithm;
use super::claims::{AllTenants, ClaimPath, ClaimRules};
use super::issuer::{Issuer, Issuers};
use super::testing::*;
use crate::access::credentials::Credentials;
use crate::access::grant::{Grant, Right, Role, Tenants};
use crate::access::principal::{Principal, Refusal};
use crate::access::token::TokenHash;

/// A signer, and the issuer of its tokens.
fn es256() -> (Signer, Issuers) {
    let signer = Signer::new("k1", JwtAlgorithm::Es256);
    let issuers = issuer(&source(&[signer.jwk()]), rules());
    (signer, issuers)
}

fn refusal(issuers: &Issuers, token: &str) -> Refusal {
    verify(issuers, token).expect_err(token)
}

fn grant(rules: ClaimRules, claims: &Value) -> Grant {
    let (signer, _) = es256();
    let issuers = issuer(&source(&[signer.jwk()]), rules);
    verify(&issuers, &signer.token(claims)).unwrap().grant.clone()
}

fn may(grant: &Grant, role: Role, tenant: &str) -> bool {
    grant.right(role, &tenant.parse().unwrap()) == Right::Granted
}

#[test]
fn a_token_of_every_algorithm_is_accepted() {
    for algorithm in JwtAlgorithm::ALL {
        let signer = Signer::new("k1", algorithm);
        let issuers = issuer(&source(&[signer.jwk()]), rules());
        let token = signer.token(&claims());
        let principal =
            verify(&issuers, &token).unwrap_or_else(|it| panic!("{algorithm:?}: {it:?}"));
        assert_eq!(principal.name, "alice of https://id.example.com");
        assert_eq!(principal.expires, Some(at(NOW + 330)));
        assert!(may(&principal.grant, Role::Decide, "tenant_a"));
        assert!(!may(&principal.grant, Role::Observe, "tenant_a"));
        assert!(!may(&principal.grant, Role::Decide, "tenant_b"));
    }
}

#[test]
fn a_token_that_was_changed_anywhere_is_refused() {
    for algorithm in JwtAlgorithm::ALL {
        let signer = Signer::new("k1", algorithm);
        let issuers = issuer(&source(&[signer.jwk()]), rules());
        let token = signer.token(&claims());
        verify(&issuers, &token).unwrap();
        for index in (0..token.len()).step_by(7) {
            let mut changed = token.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(verify(&issuers, &changed).is_err(), "{algorithm:?} at {index}");
        }
        let (signed, _) = token.rsplit_once('.').unwrap();
        let other = Signer::new("k1", JwtAlgorithm::EdDsa).signature(signed.as_bytes());
        for signature in [vec![], other] {
            let changed = format!("{signed}.{}", encoded(signature));
            assert_eq!(refusal(&issuers, &changed), Refusal::BadSignature, "{algorithm:?}");
        }
    }
}

#[test]
fn signatures_of_zeros_and_ones_are_refused() {
    for (algorithm, length) in [
        (JwtAlgorithm::Es256, 64),
        (JwtAlgorithm::Es384, 96),
        (JwtAlgorithm::Es512, 132),
        (JwtAlgorithm::EdDsa, 64),
        (JwtAlgorithm::Rs256, 256),
        (JwtAlgorithm::Ps256, 256),
    ] {
        let signer = Signer::new("k1", algorithm);
        let issuers = issuer(&source(&[signer.jwk()]), rules());
        let token = signer.token(&claims());
        let (signed, _) = token.rsplit_once('.').unwrap();
        let mut one = vec![0; length];
        (one[length / 2 - 1], one[length - 1]) = (1, 1);
        for signature in [vec![0; length], vec![255; length], one] {
            let token = format!("{signed}.{}", encoded(signature));
            assert_eq!(refusal(&issuers, &token), Refusal::BadSignature, "{algorithm:?}");
        }
    }
}

#[test]
fn a_signature_of_ecdsa_in_der_is_refused() {
    let (signer, issuers) = es256();
    let token = signer.token(&claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&signature).unwrap();
    let token = format!("{signed}.{}", encoded(signature.to_der().as_bytes()));
    assert_eq!(refusal(&issuers, &token), Refusal::BadSignature);
}

#[test]
fn a_token_without_a_signature_or_with_a_shared_secret_is_refused() {
    use hmac::{Hmac, KeyInit, Mac};
    let signer = Signer::new("k1", JwtAlgorithm::Rs256);
    let issuers = issuer(&source(&[signer.jwk()]), rules());
    let claims = encoded(claims().to_string());
    for alg in ["none", "None", "NONE", ""] {
        let header = encoded(json!({"alg": alg, "kid": "k1"}).to_string());
        let token = format!("{header}.{claims}.");
        assert_eq!(refusal(&issuers, &token), Refusal::WrongAlgorithm, "{alg}");
    }
    // The public key as everybody has it, as the secret.
    for secret in [signer.jwk().to_string(), signer.jwk()["n"].as_str().unwrap().to_owned()] {
        let signed = format!("{}.{claims}", encoded(r#"{"alg":"HS256","kid":"k1"}"#));
        let mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        let mac = mac.chain_update(&signed).finalize().into_bytes();
        let token = format!("{signed}.{}", encoded(mac));
        assert_eq!(refusal(&issuers, &token), Refusal::WrongAlgorithm);
    }
}

#[test]
fn a_token_says_the_algorithm_that_it_is_signed_by_and_the_operator_and_the_key_allow_it() {
    let signer = Signer::new("k1", JwtAlgorithm::Rs256);
    let source = source(&[signer.jwk()]);
    let every = issuer(&source, rules());
    let swapped = signer.sign(r#"{"alg":"PS256","kid":"k1"}"#, &claims().to_string());
    assert_eq!(refusal(&every, &swapped), Refusal::BadSignature);
    let of_other_kind = signer.sign(r#"{"alg":"ES256","kid":"k1"}"#, &claims().to_string());
    assert_eq!(refusal(&every, &of_other_kind), Refusal::WrongAlgorithm);
    // The operator's choice.
    let only = vec![JwtAlgorithm::Es256, JwtAlgorithm::Ps256];
    let only = Issuers(vec![Arc::new(Issuer::new(ISSUER.into(), only, rules(), source))]);
    assert_eq!(refusal(&only, &signer.token(&claims())), Refusal::WrongAlgorithm);
    // The key's own.
    let mut jwk = signer.jwk();
    jwk["alg"] = json!("PS256");
    let of_key = issuer(&super::testing::source(&[jwk]), rules());
    assert_eq!(refusal(&of_key, &signer.token(&claims())), Refusal::WrongAlgorithm);
}

#[test]
fn the_key_that_a_token_brings_is_not_looked_at() {
    let (_, issuers) = es256();
    let attacker = Signer::new("k1", JwtAlgorithm::Es256);
    let mut header = attacker.header();
    header["jwk"] = attacker.jwk();
    header["jku"] = json!("https://attacker.example/jwks.json");
    header["x5u"] = json!("https://attacker.example/x");
    header["x5c"] = json!(["AAAA"]);
    let token = attacker.sign(&header.to_string(), &claims().to_string());
    assert_eq!(refusal(&issuers, &token), Refusal::BadSignature);
}

#[test]
fn the_key_id_selects_the_key_and_without_one_there_may_be_only_one_for_the_algorithm() {
    let [one, two] = ["k1", "k2"].map(|id| Signer::new(id, JwtAlgorithm::Es256));
    let edwards = Signer::new("k3", JwtAlgorithm::EdDsa);
    let issuers = issuer(&source(&[one.jwk(), two.jwk(), edwards.jwk()]), rules());
    for signer in [&one, &two, &edwards] {
        verify(&issuers, &signer.token(&claims())).unwrap();
    }
    let by =
        |signer: &Signer, header: Value| signer.sign(&header.to_string(), &claims().to_string());
    verify(&issuers, &by(&edwards, json!({"alg": "EdDSA"}))).unwrap();
    for (token, expected) in [
        (by(&one, json!({"alg": "ES256"})), Refusal::UnknownKey),
        (by(&one, json!({"alg": "ES256", "kid": "k2"})), Refusal::BadSignature),
        (by(&one, json!({"alg": "ES256", "kid": "k3"})), Refusal::WrongAlgorithm),
        (by(&one, json!({"alg": "ES256", "kid": "k9"})), Refusal::UnknownKey),
        (by(&one, json!({"alg": "ES256", "kid": ""})), Refusal::UnknownKey),
        (by(&one, json!({"alg": "ES384"})), Refusal::UnknownKey),
        (by(&one, json!({"alg": "ES256", "kid": 1})), Refusal::InvalidToken),
        (by(&one, json!({"alg": "ES256", "kid": "k".repeat(1025)})), Refusal::InvalidToken),
    ] {
        assert_eq!(refusal(&issuers, &token), expected, "{token}");
    }
    // Two keys of one name: nobody knows which is meant.
    let again = Signer::new("k1", JwtAlgorithm::Es256);
    let ambiguous = issuer(&source(&[one.jwk(), again.jwk()]), rules());
    assert_eq!(refusal(&ambiguous, &one.token(&claims())), Refusal::UnknownKey);
}

#[test]
fn a_header_has_one_form() {
    let (signer, issuers) = es256();
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"] {
        let header = json!({"alg": "ES256", "kid": "k1", "typ": typ}).to_string();
        verify(&issuers, &signer.sign(&header, &claims().to_string())).unwrap();
    }
    for (header, expected) in [
        (r#"{"alg":"ES256","kid":"k1","typ":"dpop+jwt"}"#, Refusal::InvalidToken),
        (r#"{"alg":"ES256","kid":"k1","typ":"JOSE"}"#, Refusal::InvalidToken),
        (r#"{"alg":"ES256","kid":"k1","typ":null}"#, Refusal::InvalidToken),
        (r#"{"alg":"ES256","kid":"k1","crit":["exp"]}"#, Refusal::InvalidToken),
        (r#"{"alg":"ES256","kid":"k1","crit":null}"#, Refusal::InvalidToken),
        (r#"{"alg":"ES256","kid":"k1","b64":false,"crit":["b64"]}"#, Refusal::InvalidToken),
        (r#"{"alg":"ES256","kid":"k0","kid":"k1"}"#, Refusal::InvalidToken),
        (r#"{"alg":"none","alg":"ES256","kid":"k1"}"#, Refusal::InvalidToken),
        (r#"{"alg":"ES256","kid":"k1","x":{"a":1,"a":2}}"#, Refusal::InvalidToken),
        (r#"{"kid":"k1"}"#, Refusal::InvalidToken),
        (r#"{"alg":["ES256"],"kid":"k1"}"#, Refusal::InvalidToken),
        (r#"{"alg":"es256","kid":"k1"}"#, Refusal::WrongAlgorithm),
        (r#"["ES256","k1"]"#, Refusal::InvalidToken),
        (r#"{"alg":"ES256","kid":"k1"} x"#, Refusal::InvalidToken),
        ("", Refusal::InvalidToken),
    ] {
        let token = signer.sign(header, &claims().to_string());
        assert_eq!(refusal(&issuers, &token), expected, "{header}");
    }
    let deep = format!(r#"{{"alg":"ES256","kid":"k1","x":{}}}"#, "[".repeat(5000));
    assert_eq!(refusal(&issuers, &signer.sign(&deep, "{}")), Refusal::InvalidToken);
}

#[test]
fn a_token_has_one_form() {
    let (signer, issuers) = es256();
    let token = signer.token(&claims());
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    for (token, expected) in [
        (format!("{token}."), Refusal::Unknown),
        (format!("{token}.{token}"), Refusal::Unknown),
        (format!("{header}.{claims}"), Refusal::Unknown),
        (format!("{header}.{claims}.{signature}="), Refusal::InvalidToken),
        (format!("{header}.{claims}={signature}"), Refusal::Unknown),
        (format!("{header}.{claims}=.{signature}"), Refusal::InvalidToken),
        (format!("{header}.{claims}.{signature}AAA"), Refusal::InvalidToken),
        (format!("{header}.{claims}.{signature}AAAA"), Refusal::BadSignature),
        (format!("{header}.{claims}.+{signature}"), Refusal::InvalidToken),
        (format!("..{signature}"), Refusal::InvalidToken),
        ("..".to_owned(), Refusal::InvalidToken),
        ("abc".to_owned(), Refusal::Unknown),
    ] {
        assert_eq!(refusal(&issuers, &token), expected, "{token}");
    }
    // The last letter of 64 bytes has four bits that say nothing.
    let (rest, last) = signature.split_at(signature.len() - 1);
    for other in b"BCDEFGHIJKLMNOP".iter().map(|byte| char::from(*byte)) {
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let index = letters.find(last).unwrap() + letters.find(other).unwrap();
        let token = format!("{header}.{claims}.{rest}{}", &letters[index..=index]);
        assert_eq!(refusal(&issuers, &token), Refusal::InvalidToken, "{token}");
    }
}

#[test]
fn a_member_that_comes_twice_in_the_claims_is_refused() {
    let (signer, issuers) = es256();
    let claims = claims().to_string();
    let header = signer.header().to_string();
    for twice in [
        r#","tenants":["tenant_b"]}"#,
        r#","iss":"https://id.example.com"}"#,
        r#","x":{"y":1,"y":1}}"#,
    ] {
        let claims = format!("{}{twice}", claims.strip_suffix('}').unwrap());
        assert_eq!(refusal(&issuers, &signer.sign(&header, &claims)), Refusal::InvalidToken);
    }
}

#[test]
fn times_are_whole_numbers_and_exp_is_there() {
    let (signer, issuers) = es256();
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!(NOW.to_string()),
            json!(""),
            json!(1_800_000_000.5),
            json!(1.8e9),
            json!(1e300),
            json!(-1),
            json!(-0.0),
            json!(253_402_300_800_u64),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(true),
            json!([NOW]),
            json!({}),
        ] {
            let token = signer.token(&claims_with(name, value.clone()));
            assert_eq!(refusal(&issuers, &token), Refusal::InvalidClaims, "{name}: {value}");
        }
        let null = claims().to_string().replace("\"aud\"", "\"x\":null,\"aud\"");
        verify(&issuers, &signer.sign(&signer.header().to_string(), &null)).unwrap();
        let mut claims = claims();
        claims[name] = Value::Null;
        assert_eq!(refusal(&issuers, &signer.token(&claims)), Refusal::InvalidClaims, "{name}");
    }
    // serde_json reads a number beyond a float as no JSON.
    let huge = claims().to_string().replace(&(NOW + 300).to_string(), "1e999");
    let token = signer.sign(&signer.header().to_string(), &huge);
    assert_eq!(refusal(&issuers, &token), Refusal::InvalidToken);
    let without = signer.token(&claims_with("exp", Value::Null));
    assert_eq!(refusal(&issuers, &without), Refusal::InvalidClaims);
    for name in ["nbf", "iat"] {
        verify(&issuers, &signer.token(&claims_with(name, Value::Null))).unwrap();
    }
    let last = signer.token(&claims_with("exp", json!(253_402_300_799_u64)));
    verify(&issuers, &last).unwrap();
}

#[test]
fn a_token_is_valid_from_nbf_to_exp_and_the_leeway_beyond() {
    let (signer, issuers) = es256();
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": NOW - 100, "nbf": NOW, "exp": NOW + 100,
    });
    let token = signer.token(&claims);
    let twice = [issuers, issuer(&source(&[signer.jwk()]), rules())];
    verify(&twice[1], &token).unwrap();
    // The second has verified it before, and must not remember more than that.
    for issuers in &twice {
        assert_eq!(verify_at(issuers, &token, NOW - 31), Err(Refusal::NotYetValid));
        verify_at(issuers, &token, NOW - 30).unwrap();
        verify_at(issuers, &token, NOW + 129).unwrap();
        assert_eq!(verify_at(issuers, &token, NOW + 130), Err(Refusal::Expired));
        assert_eq!(verify_at(issuers, &token, NOW - 31), Err(Refusal::NotYetValid));
    }
    let issued_later = signer.token(&claims_with("iat", json!(NOW + 31)));
    assert_eq!(refusal(&twice[0], &issued_later), Refusal::NotYetValid);
    verify(&twice[0], &signer.token(&claims_with("iat", json!(NOW + 30)))).unwrap();
}

#[test]
fn a_token_is_of_the_issuer_and_for_this_audience() {
    let (signer, issuers) = es256();
    for (name, value, expected) in [
        ("iss", json!("https://id.example.com/"), Refusal::WrongIssuer),
        ("iss", json!("https://ID.example.com"), Refusal::WrongIssuer),
        ("iss", json!([ISSUER]), Refusal::WrongIssuer),
        ("iss", Value::Null, Refusal::WrongIssuer),
        ("aud", json!("other"), Refusal::WrongAudience),
        ("aud", json!(""), Refusal::WrongAudience),
        ("aud", json!([]), Refusal::WrongAudience),
        ("aud", json!(["other", "edge"]), Refusal::WrongAudience),
        ("aud", Value::Null, Refusal::WrongAudience),
        ("aud", json!({AUDIENCE: 1}), Refusal::InvalidClaims),
        ("aud", json!([AUDIENCE, 1]), Refusal::InvalidClaims),
    ] {
        let token = signer.token(&claims_with(name, value.clone()));
        assert_eq!(refusal(&issuers, &token), expected, "{name}: {value}");
    }
    verify(&issuers, &signer.token(&claims_with("aud", json!(["other", AUDIENCE])))).unwrap();
}

#[test]
fn a_token_of_one_issuer_is_not_verified_by_the_keys_of_another() {
    let [one, other] = ["k1", "k1"].map(|id| Signer::new(id, JwtAlgorithm::Es256));
    let algorithms = vec![JwtAlgorithm::Es256];
    let named = |name: &str, signer: &Signer| {
        let keys = source(&[signer.jwk()]);
        Arc::new(Issuer::new(name.to_owned(), algorithms.clone(), rules(), keys))
    };
    let issuers = Issuers(vec![named(ISSUER, &one), named("other", &other)]);
    let of_other = claims_with("iss", json!("other"));
    assert_eq!(verify(&issuers, &other.token(&of_other)).unwrap().name, "alice of other");
    verify(&issuers, &one.token(&claims())).unwrap();
    assert_eq!(refusal(&issuers, &other.token(&claims())), Refusal::BadSignature);
    assert_eq!(refusal(&issuers, &one.token(&of_other)), Refusal::BadSignature);
}

#[test]
fn roles_and_tenants_are_lists_or_texts_and_unknown_ones_are_ignored() {
    let both = |roles: Value, tenants: Value| {
        let mut claims = claims_with("roles", roles);
        claims["tenants"] = tenants;
        grant(rules(), &claims)
    };
    for (roles, tenants) in [
        (json!(["observe", "admin"]), json!(["tenant_b", "no tenant", "", "../x"])),
        (json!("openid observe"), json!("tenant_b")),
        (json!("observe"), json!("tenant_b tenant_c")),
    ] {
        let grant = both(roles, tenants);
        assert!(may(&grant, Role::Observe, "tenant_b"), "{grant:?}");
        assert!(!may(&grant, Role::Decide, "tenant_b") && !may(&grant, Role::Observe, "tenant_a"));
    }
    let nothing = both(json!(["admin", "Decide", "DECIDE"]), json!(["tenant_a"]));
    let id: TenantId = "tenant_a".parse().unwrap();
    for role in Role::ALL {
        assert_eq!(nothing.right(role, &id), Right::RoleMissing);
    }
    let nowhere = both(json!("decide"), json!([]));
    assert_eq!(nowhere.right(Role::Decide, &id), Right::OtherTenant);
    let mut without = claims_with("tenants", Value::Null);
    without.as_object_mut().unwrap().remove("roles");
    assert_eq!(
        grant(rules(), &without),
        Grant { tenants: Tenants::Named([].into()), roles: [].into_iter().collect() }
    );
}

#[test]
fn claims_of_another_type_are_refused() {
    let (signer, issuers) = es256();
    for (name, value) in [
        ("roles", json!(1)),
        ("roles", json!({"decide": true})),
        ("roles", json!(["decide", 1])),
        ("tenants", json!(true)),
        ("tenants", json!([["tenant_a"]])),
        ("sub", json!(1)),
        ("tenants", json!(vec!["a"; 4097])),
    ] {
        let token = signer.token(&claims_with(name, value.clone()));
        assert_eq!(refusal(&issuers, &token), Refusal::InvalidClaims, "{name}: {value}");
    }
}

#[test]
fn all_tenants_are_a_token_s_only_where_the_operator_allows_it() {
    let mut claims = claims_with("roles", json!(["operate"]));
    claims["tenants"] = json!(["*", "tenant_a"]);
    let ignored = grant(rules(), &claims);
    assert!(!ignored.is_for_all(Role::Operate) && !may(&ignored, Role::Operate, "tenant_b"));
    assert!(may(&ignored, Role::Operate, "tenant_a"));
    let allowed = grant(ClaimRules { all_tenants: AllTenants::Allowed, ..rules() }, &claims);
    assert!(allowed.is_for_all(Role::Operate) && may(&allowed, Role::Operate, "tenant_b"));
}

#[test]
fn claims_are_where_the_operator_says() {
    let at = |path: &str| ClaimRules { roles: ClaimPath::Pointer(path.to_owned()), ..rules() };
    let mut claims = claims_with("realm_access", json!({"roles": ["observe"], "a/b": ["observe"]}));
    claims["https://example.com/roles"] = json!(["observe"]);
    for rules in [
        at("/realm_access/roles"),
        at("/realm_access/a~1b"),
        at("/https:~1~1example.com~1roles"),
        ClaimRules { roles: ClaimPath::Name("https://example.com/roles".to_owned()), ..rules() },
    ] {
        assert!(may(&grant(rules, &claims), Role::Observe, "tenant_a"));
    }
    for path in ["/realm_access/none", "/realm", "/", "/roles/0/x"] {
        assert!(!may(&grant(at(path), &claims), Role::Observe, "tenant_a"), "{path}");
    }
}

#[test]
fn a_token_stops_at_once_when_its_key_is_removed() {
    let [one, two] = ["k1", "k2"].map(|id| Signer::new(id, JwtAlgorithm::Es256));
    let keys = source(&[one.jwk()]);
    let issuers = issuer(&keys, rules());
    let [of_one, of_two] = [&one, &two].map(|signer| signer.token(&claims()));
    verify(&issuers, &of_one).unwrap();
    assert_eq!(refusal(&issuers, &of_two), Refusal::UnknownKey);
    assert!(keys.replace(set(&[one.jwk(), two.jwk()]), at(NOW)));
    verify(&issuers, &of_one).unwrap();
    verify(&issuers, &of_two).unwrap();
    assert!(!keys.replace(set(&[one.jwk(), two.jwk()]), at(NOW)));
    assert!(keys.replace(set(&[two.jwk()]), at(NOW)));
    assert_eq!(refusal(&issuers, &of_one), Refusal::UnknownKey);
    verify(&issuers, &of_two).unwrap();
    // The same id with another key.
    let again = Signer::new("k2", JwtAlgorithm::Es256);
    assert!(keys.replace(set(&[again.jwk()]), at(NOW)));
    assert_eq!(refusal(&issuers, &of_two), Refusal::BadSignature);
}

#[test]
fn a_token_whose_hash_is_configured_is_that_token_whatever_else_it_is() {
    let (signer, issuers) = es256();
    let token = signer.token(&claims());
    let grant = Grant { roles: [Role::Observe].into_iter().collect(), tenants: Tenants::All };
    let configured = Arc::new(Principal { name: "configured".into(), grant, expires: None });
    let mut credentials = Credentials { issuers, ..Credentials::default() };
    assert_eq!(
        credentials.of_token(&token, at(NOW)).unwrap().name,
        "alice of https://id.example.com"
    );
    credentials.tokens.insert(TokenHash::of(&token), configured);
    assert_eq!(credentials.of_token(&token, at(NOW)).unwrap().name, "configured");
}

#[test]
fn without_keys_a_token_is_refused_for_that_reason() {
    let signer = Signer::new("k1", JwtAlgorithm::Es256);
    let issuers = issuer(&source(&[]), rules());
    assert_eq!(refusal(&issuers, &signer.token(&claims())), Refusal::KeysUnavailable);
}

#[test]
fn a_failure_takes_no_key_away_and_is_over_with_the_next_success() {
    let signer = Signer::new("k1", JwtAlgorithm::Es256);
    let keys = source(&[signer.jwk()]);
    keys.failed(at(NOW));
    keys.failed(at(NOW + 5));
    verify(&issuer(&keys, rules()), &signer.token(&claims())).unwrap();
    assert_eq!((keys.status().failing_since, keys.status().failures), (Some(at(NOW)), 2));
    keys.replace(set(&[signer.jwk()]), at(NOW + 9));
    let status = keys.status();
    assert_eq!((status.failing_since, status.last_success), (None, Some(at(NOW + 9))));
}
