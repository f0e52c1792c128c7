"""The RO-Crate that describes a results folder."""
