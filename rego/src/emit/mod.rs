//! Core to programs of regorus' VM.
