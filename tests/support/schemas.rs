//! Checks published messages against `docs/schemas`.

use std::sync::LazyLock;

use aws_local::sns::Published;
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

/// A JSON Schema of the documentation.
pub(crate) struct Schema {
    pub(crate) json: Value,
    compiled: Schemas,
    index: SchemaIndex,
}

pub(crate) static ALERT: LazyLock<Schema> =
    LazyLock::new(|| Schema::new("alert.json", include_str!("../../docs/schemas/alert.json")));

pub(crate) static DECISION: LazyLock<Schema> =
    LazyLock::new(|| Schema::new("decision.json", include_str!("../../docs/schemas/decision.json")));

impl Schema {
    fn new(name: &str, text: &str) -> Self {
        let json: Value = serde_json::from_str(text).unwrap();
        let (url, mut compiler, mut compiled) =
            (format!("https://rebound.example/{name}"), Compiler::new(), Schemas::new());
        compiler.add_resource(&url, json.clone()).unwrap();
        let index = compiler.compile(&url, &mut compiled).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        Self { json, compiled, index }
    }

    /// Why a message is not as the schema says.
    pub(crate) fn faults(&self, message: &Value) -> Option<String> {
        let faults = self.compiled.validate(message, self.index).err();
        faults.map(|faults| format!("{faults:#}"))
    }

    /// The kinds that it knows.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let kinds = self.json["properties"]["kind"]["enum"].as_array().unwrap();
        kinds.iter().map(|kind| kind.as_str().unwrap().to_owned()).collect()
    }
}

/// A message as programs get it, which is as its schema says.
pub(crate) fn published(schema: &Schema, message: &Published) -> Value {
    let text = message.for_protocol("lambda");
    let value = serde_json::from_str(&text).unwrap();
    if let Some(faults) = schema.faults(&value) {
        panic!("docs/schemas does not say what is published: {faults}\n{text}");
    }
    value
}
