//! Any text against the parser: it terminates, and every fault has a place within the text.

#![no_main]

use enforcer_rego::ast::RegoVersion;
use enforcer_rego::parse::parse_module;
use enforcer_rego::source::Sources;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for version in [RegoVersion::V0, RegoVersion::V1] {
        let mut sources = Sources::default();
        let file = sources.add("policy.rego", text);
        let Err(faults) = parse_module(&sources, file, version) else { continue };
        assert!(!faults.is_empty());
        for span in faults.iter().filter_map(|fault| fault.span) {
            assert!(span.start <= span.end && span.end as usize <= text.len(), "{faults:?}");
            assert!(sources.location(span).row >= 1);
        }
    }
});
